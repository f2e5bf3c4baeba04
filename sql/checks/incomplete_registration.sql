-- Plates that lack wells, fields or images. Plates of imported profiles need wells only.
-- Grain: one row per plate.   Reads: plate, well, field, image, part, model.
select
    plate_id as plate,
    'no wells, fields or images are registered' as problem
from plate
where
    plate_id not in (select plate from well)
    or (
        (plate_id not in (select plate from field) or plate_id not in (select plate from image))
        and plate_id not in (
            select part.plate
            from part
            inner join model using (model)
            where model.kind = 'imported' and part.plate is not null
        )
    )
