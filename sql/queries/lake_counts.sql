-- Numbers of datasets, plates, wells and models of a lake.
-- Grain: one row.   Reads: plate, well, model.
select
    (select count(distinct dataset) from plate) as dataset,
    (select count(*) from plate) as plate,
    (select count(*) from well) as well,
    (select count(*) from model) as model
