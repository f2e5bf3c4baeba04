-- Wells, fields and parts of plates that are not registered, and images of fields that are not
-- registered.
-- Grain: one row per table_name, key.   Reads: plate, well, field, image, part.
select
    'well' as table_name,
    plate as key
from well
where plate not in (select plate_id from plate)
union
select
    'field' as table_name,
    plate as key
from field
where plate not in (select plate_id from plate)
union
select
    'part' as table_name,
    uri as key
from part
where plate is not null and plate not in (select plate_id from plate)
union
select
    'image' as table_name,
    image.plate || ' ' || image.well || ' ' || image.field as key
from image
anti join field using (plate, well, field)
