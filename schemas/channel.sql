-- One row per plate and channel index.
create table if not exists channel (
    plate varchar not null,
    channel_index integer not null check (channel_index >= 0),
    channel varchar not null,
    marker varchar,
    excitation_nm double check (excitation_nm > 0),
    emission_nm double check (emission_nm > 0),
    illumination varchar
);
comment on table channel is 'One row per plate and channel index.';
comment on column channel.channel is 'Name of the stain.';
comment on column channel.marker is 'What the stain marks.';
comment on column channel.excitation_nm is 'Excitation wavelength, nm.';
comment on column channel.emission_nm is 'Emission wavelength, nm.';
comment on column channel.illumination is 'Illumination function (.npy) in the lake; planes were divided by it.';
