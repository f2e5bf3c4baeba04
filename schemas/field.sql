-- One row per plate, well and field of view.
create table if not exists field (
    plate varchar not null,
    well varchar not null,
    field integer not null check (field >= 0),
    path varchar not null,
    height_px integer not null check (height_px > 0),
    width_px integer not null check (width_px > 0),
    pixel_size_um double check (pixel_size_um > 0),
    position_x_um double,
    position_y_um double
);
comment on table field is 'One row per plate, well and field of view.';
comment on column field.path is 'Path of the image group inside the plate.';
comment on column field.pixel_size_um is 'Micrometre per pixel, if known.';
