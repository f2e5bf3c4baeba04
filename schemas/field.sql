-- One row per plate, well and field of view.
create table if not exists field (
    plate varchar not null,
    well varchar not null,
    field integer not null check (field >= 0),
    path varchar,
    height_px integer check (height_px > 0),
    width_px integer check (width_px > 0),
    pixel_size_um double check (pixel_size_um > 0),
    position_x_um double,
    position_y_um double
);
comment on table field is 'One row per plate, well and field of view.';
comment on column field.path is 'Image group in the plate, with #t=&z= of a stack in place; NULL if not here.';
comment on column field.pixel_size_um is 'Micrometres per pixel, if known.';
