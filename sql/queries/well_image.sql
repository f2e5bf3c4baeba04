-- Wells with the columns of their plate, their images and, if a model is named, their profile.
-- Grain: one row per plate, well, field, channel_index; one row for a well without images.
-- Reads: well, plate, image, profile.
-- $model: of the profile, NULL for none; $normalization: of the profile.
with well_profile as (
    select
        plate,
        well,
        num_members,
        channels,
        embedding
    from profile
    where model = $model and normalization = $normalization and level = 'well'
)

select
    well.*,
    plate.dataset,
    plate.source,
    plate.batch,
    plate.barcode,
    plate.num_rows,
    plate.num_columns,
    image.* exclude (plate, well),
    well_profile.num_members,
    well_profile.channels,
    well_profile.embedding
from well
inner join plate on well.plate = plate.plate_id
left join image on well.plate = image.plate and well.well = image.well
left join well_profile on well.plate = well_profile.plate and well.well = well_profile.well
