-- Plates that lack rows in a table they must have rows in.   Reads: plate, well, field, image.
select
    plate_id as plate,
    'no wells, fields or images are registered' as problem
from plate
where
    plate_id not in (select plate from well)
    or plate_id not in (select plate from field)
    or plate_id not in (select plate from image)
