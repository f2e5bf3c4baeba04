-- Active compounds: more than 5 % of the features of their mean profile have an absolute value of
-- 0.84 or more (the 80th percentile of a normal distribution). The profiles are of measured features
-- from one laboratory.
-- Grain: one row per compound.   Reads: profile.
-- $model, $normalization: of the measured features; $dataset; $source: the laboratory.
-- Source: Morelli et al. 2025, supplement A.3, and its program.
with treated as (
    select
        compound,
        embedding
    from profile
    where
        model = $model
        and normalization = $normalization
        and level = 'well'
        and dataset = $dataset
        and source = $source
        and control_type is distinct from 'negcon'
        and compound is not null
),

mean_feature as (
    select
        treated.compound,
        feature.i,
        avg(treated.embedding[feature.i]) as mean
    from treated
    inner join range(1, 100001) as feature (i) on feature.i <= len(treated.embedding)
    group by all
)

select compound
from mean_feature
group by compound
having avg(case when abs(mean) >= 0.84 then 1 else 0 end) > 0.05
order by compound
