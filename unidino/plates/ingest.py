"""Images of a vendor export or a published set into the lake, plate by plate."""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import polars as pl
import pyarrow as pa

from unidino.core.account import Account, listed
from unidino.core.errors import InputError, choose
from unidino.core.log import log
from unidino.core.progress import progress_bar
from unidino.core.results import Result
from unidino.core.stopping import temporary_folder
from unidino.lake.lake import Lake
from unidino.lake.ngff import VERSIONS
from unidino.lake.runs import Run
from unidino.plates.conversion import parse
from unidino.plates.convert import Form, by_field, default_jobs
from unidino.plates.illumination import HARMONY
from unidino.plates.inputs import num_wells_fields_images, plates_with_files
from unidino.plates.landing import Landing
from unidino.plates.layouts.flatfield import save_functions
from unidino.plates.layouts.read import read_manifest
from unidino.plates.manifest import Choice, Manifest
from unidino.plates.meaning import Reading
from unidino.plates.odd_names import say_odd_plates
from unidino.plates.register import register_absent

_EVERY_IMAGE = Choice()
_FULL_RESOLUTION = Form()


@dataclass(frozen=True)
class Ingested(Result):
    """What an ingest did; its table has the counts.

    landed: names of the plates that were written. skipped: names of those that were in the lake
    with the same content. problems: a line for each image that was left out or registered as
    damaged. account: what was understood of the input, as texts by topic.
    """

    landed: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    num_wells: int = 0
    num_fields: int = 0
    num_images: int = 0
    problems: tuple[str, ...] = ()
    account: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def frame(self) -> pl.DataFrame:
        """The counts as a table of one row; wells, fields and images are those that landed."""
        counts = {
            "plates": len(self.landed),
            "skipped": len(self.skipped),
            "wells": self.num_wells,
            "fields": self.num_fields,
            "images": self.num_images,
            "problems": len(self.problems),
        }
        return pl.DataFrame([counts])


def ingest(
    lake: Lake,
    path: str | Path,
    layout: str = "manifest",
    *,
    dataset: str | None = None,
    metadata: Sequence[str | Path] = (),
    platemap: str | Path | None = None,
    pattern: str | None = None,
    images: str | Path | None = None,
    choice: Choice = _EVERY_IMAGE,
    form: Form = _FULL_RESOLUTION,
    negcon: str = "DMSO",
    unit: str | None = None,
    dry_run: bool = False,
    allow_incomplete: bool = False,
    absent_channels: bool = False,
    metadata_only: bool = False,
    jobs: int | None = None,
    overwrite: bool = False,
) -> Ingested:
    """The plates that were written and registered, and those that were in the lake already.

    path: folder of the images, or a manifest file. dataset ... choice, allow_incomplete,
    absent_channels: see `read_manifest`. negcon: compound that is the negative control, where no
    control_type is stated. unit: of concentrations whose table states none, such as nM; `none`:
    these are not concentrations. dry_run: only say what was understood; nothing lands.
    metadata_only: register images whose pixels are not here. jobs: threads, default one per core.
    overwrite: replace plates that have other content.

    An image that cannot be used is registered as damaged and named in `problems`.
    Raises InputError if the manifest is wrong or a file is missing (nothing is written), or if a
    plate has no usable image or is in the lake with other content (the other plates land).

    >>> import unidino as ud
    >>> from unidino.simulation.screens import SCREENS
    >>> from unidino.simulation.simulate import simulate_screen
    >>> _ = simulate_screen(folder, SCREENS["sim3"], plates=["sim3_b1_p1"], size_px=64)
    >>> done = ud.ingest(lake, folder, "harmony", platemap=folder / "platemap.csv")
    >>> done.landed, done.num_images
    (('sim3_b1_p1',), 180)
    """
    run = Run.of("ingest", locals(), reads_files=True)
    choose("OME-Zarr version", form.ngff, VERSIONS)
    parse(form.convert)
    if form.in_place:
        if lake.is_remote:
            raise InputError(
                "--in-place leaves plates on this machine, where others cannot read them: ingest"
                " them into the remote lake without it"
            )
        if layout != "ome-zarr":
            raise InputError("--in-place registers OME-Zarr plates: it needs --layout ome-zarr")
        if form.illumination or form.pyramid or form.convert:
            raise InputError(
                "--in-place leaves plates as they are: no --illumination, --pyramid, --convert"
            )
        choice = replace(choice, keep_index=True)
    manifest = read_manifest(
        Path(path),
        layout,
        dataset=dataset,
        metadata=[Path(file) for file in metadata],
        platemap=None if platemap is None else Path(platemap),
        pattern=pattern,
        images=None if images is None else Path(images),
        choice=choice,
        negcon=negcon,
        reading=Reading(unit, run.account),
        allow_incomplete=allow_incomplete,
        absent_channels=absent_channels,
    )
    say_odd_plates(lake, manifest.digests, "--plate-names OLD=NEW")
    run.account.tell()
    tally = _Tally(manifest, run.account)
    if dry_run:
        _say_known(lake, manifest)
        if not metadata_only:
            plain = replace(form, illumination=None)
            _, missing = plates_with_files(manifest, plain, allow_incomplete=allow_incomplete)
            tally.problems += missing
        return tally.result()
    if metadata_only:
        absent, skipped = register_absent(lake, run, manifest, overwrite=overwrite)
        for name, table in absent.items():
            tally.add(name, table)
        for name in skipped:
            tally.skip(name)
        return tally.result()
    with _functions_on_disk(form, layout, Path(path), manifest) as form:
        plates, missing = plates_with_files(manifest, form, allow_incomplete=allow_incomplete)
        tally.problems += missing
        num_fields = sum(len(by_field(plate.rows)) for plate in plates)
        with progress_bar("ingest", num_fields, "fields") as advance:
            waiting, passed = deque(plates), 0
            while waiting:
                plate = waiting.popleft()
                try:
                    # A plate that another process holds is passed over, and looked at again later.
                    with lake.lock(f"plate {plate.name}", wait=passed > len(waiting)) as held:
                        if not held:
                            waiting.append(plate)
                            passed += 1
                            continue
                        passed = 0
                        landing = Landing(lake, run, plate, form, choice.z, jobs or default_jobs())
                        converted = landing.land(advance, overwrite=overwrite)
                except InputError as error:
                    tally.fail(plate.name, error)
                    continue
                if converted is None:
                    tally.skip(plate.name)
                else:
                    for note in converted.notes:
                        log.warning(f"plate {plate.name}: {note}")
                    tally.add(plate.name, converted.measured, converted.problems)
    return tally.result()


def _say_known(lake: Lake, manifest: Manifest) -> None:
    """Say which plates are in the lake already."""
    known = lake.look_up(
        "select plate_id from plate where list_contains($plates, plate_id) order by plate_id",
        {"plates": list(manifest.digests)},
    )["plate_id"]
    if len(known):
        log.info(
            f"in the lake already: {listed(known)}; the same content is passed over, other content"
            " needs --overwrite"
        )


@contextmanager
def _functions_on_disk(form: Form, layout: str, path: Path, manifest: Manifest) -> Iterator[Form]:
    """The form, with a folder of the functions of a Harmony index if it asks for them."""
    if form.illumination != HARMONY or Path(HARMONY).is_dir():
        yield form
        return
    if layout != "harmony":
        raise InputError(
            "--illumination harmony takes the functions of a Harmony index: it needs --layout"
            " harmony"
        )
    with temporary_folder() as folder:
        save_functions(path, manifest.images, folder)
        yield replace(form, illumination=str(folder))


class _Tally:
    """Counts what lands, plate by plate."""

    def __init__(self, manifest: Manifest, account: Account) -> None:
        self._account = account
        self.problems = list(manifest.problems)
        self._landed: list[str] = []
        self._skipped: list[str] = []
        self._errors: list[str] = []
        self._wells = self._fields = self._images = 0

    def add(self, plate: str, images: pa.Table, problems: Sequence[str] = ()) -> None:
        """Count a plate that landed, with its table of images."""
        self._landed.append(plate)
        self.problems += problems
        wells, fields, num_images = num_wells_fields_images(images)
        self._wells += wells
        self._fields += fields
        self._images += num_images

    def skip(self, plate: str) -> None:
        """Count a plate that was in the lake already."""
        self._skipped.append(plate)

    def fail(self, plate: str, error: InputError) -> None:
        """Note a plate that did not land."""
        self._errors.append(f"plate {plate}: {error}")
        self.problems += error.details

    def result(self) -> Ingested:
        """What was done; raises InputError if a plate did not land."""
        if self._errors:
            more = len(self._errors) - 1
            raise InputError(
                self._errors[0]
                + (f" (and {more} more plates failed)" if more else "")
                + f"; mend it and run again ({len(self._landed)} other plates landed)",
                [*self.problems, *self._errors] if more or self.problems else (),
            )
        return Ingested(
            tuple(self._landed),
            tuple(self._skipped),
            self._wells,
            self._fields,
            self._images,
            tuple(self.problems),
            self._account.as_json(),
        )
