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
    position_y_um double,
    num_cells integer check (num_cells >= 0)
);
comment on table field is 'One row per plate, well and field of view.';
comment on column field.path is
'Path of the image group in the plate, with #t=&z= for stacks ingested in place; NULL without pixels.';
comment on column field.pixel_size_um is 'Micrometres per pixel, if known.';
comment on column field.position_x_um is 'Position of the field as given by the instrument, um.';
comment on column field.position_y_um is 'Position of the field as given by the instrument, um.';
comment on column field.num_cells is 'Number of nuclei, if they were counted in the images.';
