"""One training of one model, and all that is measured of it against gradient descent."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from pipelines.mechanism_settings import Mechanism
from training.mechanism.agreement import Looked, agreement, look
from training.mechanism.attention import SelfAttention
from training.mechanism.descent import Rates, descent, search
from training.mechanism.fit import fit
from training.mechanism.models import Model
from training.mechanism.tasks import EVALUATION, SEARCH, Tasks, draw_tasks, form_of, half_mse
from training.mechanism.weights import between, learned_rates, likeness, products, rebuilt, theory, written_to_y

GD, GD_PLUS_PLUS = "gd", "gd_plus_plus"
ON_THE_WAY = 2000  # tasks that a model is looked at by while it trains
SHOWN = 300  # predictions of which a picture is made
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)  # of the way from the trained weights to the hand-built ones
STRETCHES = {"input_range": (0.5, 1.0, 1.5, 2.0), "scale": (0.5, 1.0, 2.0, 5.0)}  # of inputs and of weights, in training 1
SEARCH_TASKS = 4000  # for GD++, whose search takes longer

References = dict[str, Rates]  # gd, and gd_plus_plus where there is more than one step


@dataclass(frozen=True)
class Trial:
    """What one training is to find out."""

    settings: Mechanism
    model: Model
    references: References
    seed: int


def references(settings: Mechanism, model: Model) -> References:
    """The best rates of as many steps as the model has layers, searched on tasks that nothing else sees."""
    tasks = draw_tasks(form_of(settings), settings.evaluation_tasks, settings.seed, SEARCH)
    layers, tied = model.shape.layers, model.shape.tied
    found = {GD: search(tasks, layers, curvature=False)}
    if layers > 1:
        found[GD_PLUS_PLUS] = search(tasks.part(0, SEARCH_TASKS), layers, curvature=True, tied=tied)
    return found


def run_trial(trial: Trial) -> dict[str, Any]:
    """Train and measure: plain numbers, lists and mappings, that travel between processes and go into files."""
    settings, model = trial.settings, trial.model
    tasks = draw_tasks(form_of(settings), settings.evaluation_tasks, settings.seed, EVALUATION)
    exact = {name: look(descent(rates), tasks) for name, rates in trial.references.items()}
    few = tasks.part(0, ON_THE_WAY)
    exact_few = {name: Looked(*(given[: len(few)] for given in vars(found).values())) for name, found in exact.items()}
    curve = []

    def watch(step: int, trained: SelfAttention) -> None:
        curve.append({"step": step} | compared(look(trained, few), exact_few, few))

    trained = fit(model.shape, settings.model_copy(update={"steps": settings.steps * model.longer}), trial.seed, watch)
    looked = look(trained, tasks)
    found = {
        "name": model.name,
        "seed": trial.seed,
        **compared(looked, exact, tasks),
        "curve": curve,
        "out_of_range": out_of_range(trained, trial),
        "predictions": [looked.prediction_B[:SHOWN].tolist(), exact[best(exact)].prediction_B[:SHOWN].tolist()],
    }
    return found | (of_weights(trained, trial, tasks) if model.shape.kind == "linear" else {})


def best(exact: Mapping[str, Any]) -> str:
    """What a model is to be like: GD++ where it has steps enough for it, else gradient descent."""
    return GD_PLUS_PLUS if GD_PLUS_PLUS in exact else GD


def compared(looked: Looked, exact: Mapping[str, Looked], tasks: Tasks) -> dict[str, Any]:
    """Losses of the model and of its references, and its agreement with each."""
    found: dict[str, Any] = {"loss": half_mse(looked.prediction_B, tasks.target_B)}
    for name, other in exact.items():
        found[f"loss_{name}"] = half_mse(other.prediction_B, tasks.target_B)
        found[name] = asdict(agreement(looked, other))
    return found


def out_of_range(trained: SelfAttention, trial: Trial) -> list[dict[str, Any]]:
    """Losses on tasks whose inputs or weights are wider than in training; the references keep their rates."""
    settings, rows = trial.settings, []
    form = form_of(settings)
    for what, factors in STRETCHES.items():
        for factor in factors:
            wider = replace(form, **{what: getattr(form, what) * factor})
            tasks = draw_tasks(wider, ON_THE_WAY, settings.seed, EVALUATION)
            row: dict[str, Any] = {"stretched": what, "factor": factor, "loss": half_mse(trained(tasks), tasks.target_B)}
            for name, rates in trial.references.items():
                row[f"loss_{name}"] = half_mse(descent(rates)(tasks), tasks.target_B)
            rows.append(row)
    return rows


def of_weights(trained: SelfAttention, trial: Trial, tasks: Tasks) -> dict[str, Any]:
    """Of a linear model: its products beside the theory's, the rates that it learned, and models on the way to the theory."""
    form, shape = form_of(trial.settings), trial.model.shape
    found = products(trained)
    rates = trial.references[best(trial.references)]
    built = theory(found, rates, form)
    learned = learned_rates(found, form, shape.layers)
    losses = [half_mse(rebuilt(shape, between(found, built, share))(tasks), tasks.target_B) for share in SHARES]
    return {
        "rates": {"eta": learned.eta, "gamma": learned.gamma},
        "key_query_likeness": likeness(written_to_y(found), written_to_y(built)),
        "output_row_likeness": likeness(found.projection_value_LHEE[..., -1, :], built.projection_value_LHEE[..., -1, :]),
        "interpolated": dict(zip(SHARES, losses, strict=True)),
        "products": {
            "key_query": [found.key_query_LHEE.tolist(), built.key_query_LHEE.tolist()],
            "projection_value": [found.projection_value_LHEE.tolist(), built.projection_value_LHEE.tolist()],
        },
    }
