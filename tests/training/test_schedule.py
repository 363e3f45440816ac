from types import SimpleNamespace

import pytest
import torch

from wbc.training.schedule import EarlyStop, KerasPlateau


def keras_rates(values, lr, factor, patience, min_delta, min_lr):
    """keras.callbacks.ReduceLROnPlateau (3.15, mode="min", cooldown=0), line by line."""
    best, wait, rates = float("inf"), 0, []
    for value in values:
        if value < best - min_delta:
            best, wait = value, 0
        else:
            wait += 1
            if wait >= patience and lr > min_lr:
                lr, wait = max(lr * factor, min_lr), 0
        rates.append(lr)
    return rates


def play(plateau, values, optimizer):
    trainer = SimpleNamespace(optimizers=[optimizer], callback_metrics={}, current_epoch=0)
    plateau.on_train_start(trainer, None)
    rates = []
    for value in values:
        trainer.callback_metrics = {"val_loss": torch.tensor(value)}
        plateau.on_train_epoch_end(trainer, None)
        rates.append(optimizer.param_groups[0]["lr"])
    return rates


def new_optimizer():
    return torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1e-3)


OPTIONS = {"factor": 0.1, "patience": 3, "min_delta": 1e-4, "min_lr": 1e-6}
SERIES = [
    [1.0] * 12,
    [1.0, 0.9, 0.8, 0.9, 0.9, 0.9, 0.9, 0.7, 0.8, 0.8, 0.8, 0.8],
    [1.0 - 4e-5 * i for i in range(14)],  # progress below min_delta, in steps and in sum above it
    [100 - 5e-3 * i for i in range(10)],  # relative progress below 1e-4, absolute above
]


@pytest.mark.parametrize("values", SERIES)
@pytest.mark.parametrize("patience", [1, 2, 3])
def test_the_rate_falls_when_keras_lets_it_fall(values, patience):
    options = OPTIONS | {"patience": patience}
    plateau = KerasPlateau("val_loss", "min", **options)
    rates = play(plateau, values, new_optimizer())
    assert rates == pytest.approx(keras_rates(values, lr=1e-3, **options), rel=1e-6)


def test_a_resumed_plateau_goes_on_where_it_stopped():
    whole = play(KerasPlateau("val_loss", "min", **OPTIONS), SERIES[1], new_optimizer())
    optimizer = new_optimizer()
    first = KerasPlateau("val_loss", "min", **OPTIONS)
    rates = play(first, SERIES[1][:5], optimizer)
    second = KerasPlateau("val_loss", "min", **OPTIONS)
    second.load_state_dict(first.state_dict())
    assert rates + play(second, SERIES[1][5:], optimizer) == whole


@pytest.mark.parametrize(("wait", "stopped"), [(0, False), (1, False), (2, True)])
def test_a_phase_that_was_stopped_stays_stopped(wait, stopped):
    stop = EarlyStop("val_loss", patience=2)
    stop.wait_count = wait
    trainer = SimpleNamespace(should_stop=False)
    stop.on_train_start(trainer, None)
    assert trainer.should_stop is stopped
