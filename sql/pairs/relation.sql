-- Known relations of a list of pairs: each once, whichever entity stands first, without those of an
-- entity to itself. Positions are NULL for an entity that the profiles lack.
-- Grain: one row per unordered pair of different entities.
-- Reads: pair (entity1, entity2), entity (position, entity).
-- Source: Celik et al. 2024, doi 10.1371/journal.pcbi.1012463, and its program.
with relation as (
    select distinct
        least(entity1, entity2) as entity1,
        greatest(entity1, entity2) as entity2
    from pair
    where entity1 <> entity2
)

select
    relation.entity1,
    relation.entity2,
    one.position as position1,
    other.position as position2
from relation
left join entity as one on relation.entity1 = one.entity
left join entity as other on relation.entity2 = other.entity
order by relation.entity1, relation.entity2
