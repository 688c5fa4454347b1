"""The recipe from end to end on a folder made here, and its parts."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from envelope import excitation, features, spectrum, synthesis
from envelope.runner import load_onnx, upscale
from train import augment, batches, card, loop, polish, prepare, refit, ridge, state, targets
from train.__main__ import main
from train.batches import Segments, holes
from train.config import Recipe
from train.manifest import read_folder
from train.network import EnvelopeNet
from train.waveform import align, low_rate_copy

TINY = [
    "--steps",
    "2",
    "--batch",
    "2",
    "--core",
    "16",
    "--channels",
    "8",
    "--blocks",
    "6",
    "--threads",
    "1",
    "--polish-steps",
    "1",
    "--refit-batches",
    "2",
    "--wide",
    "8",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sources of a few short files each."""
    root = tmp_path_factory.mktemp("audio")
    generator = np.random.default_rng(0)
    for source in ("speech_one", "speech_two"):
        (root / source).mkdir()
        for number in range(6):
            signal = 0.1 * generator.standard_normal(14_000) * np.abs(np.sin(np.arange(14_000) / 2000))
            soundfile.write(root / source / f"{number}.wav", signal, 48_000)
    return root


@pytest.fixture(scope="module")
def cache(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its cache, without variants."""
    path = tmp_path_factory.mktemp("cache")
    prepare.build(read_folder(folder), path, seed=1, variants=False)
    return path


def run(folder: Path, cache: Path, out: Path, *flags: str) -> Path:
    """A tiny training run."""
    common = [str(folder), "--out", str(out), "--cache", str(cache), "--no-variants", "--hold-back", "speech_two"]
    return main([*common, *TINY, *flags])


def test_a_run_yields_a_working_model(folder: Path, cache: Path, tmp_path: Path):
    path = run(folder, cache, tmp_path, "--epochs", "1")
    predictor, layout = load_onnx(path)
    assert (layout.context_left, layout.core, layout.context_right) == (19, 64, 19)
    signal, _ = soundfile.read(folder / "speech_two" / "0.wav", dtype="float32")
    output = upscale(low_rate_copy(signal, 16_000), 170, predictor, layout)
    assert np.isfinite(output).all()
    assert "unseen_8000" in (tmp_path / "history.json").read_text()
    assert "held back: speech_two" in (tmp_path / "MODEL_CARD.md").read_text()


def test_the_live_variant_sees_no_later_frame(folder: Path, cache: Path, tmp_path: Path):
    predictor, layout = load_onnx(run(folder, cache, tmp_path, "--epochs", "1", "--variant", "live"))
    assert layout.lookahead_samples == 1023
    windows = np.random.default_rng(0).standard_normal((1, 192, layout.frames)).astype(np.float32)
    windows[:, 96:] = 1
    changed = windows.copy()
    changed[:, :96, -1] += 1
    before, after = predictor(windows)[0], predictor(changed)[0]
    np.testing.assert_allclose(before[:, :, :-1], after[:, :, :-1], atol=1e-6)
    assert np.abs(before[:, :, -1] - after[:, :, -1]).max() > 1e-3


def test_fewer_blocks_look_less_far_back_in_the_same_layout(folder: Path, cache: Path, tmp_path: Path):
    predictor, layout = load_onnx(run(folder, cache, tmp_path, "--epochs", "1", "--variant", "live", "--blocks", "4"))
    assert (layout.context_left, layout.core, layout.context_right) == (38, 4, 0)
    assert predictor(np.ones((1, 192, layout.frames), np.float32))[0].shape == (1, 56, 4)
    net = EnvelopeNet(16, 4, 2, 0.0).eval()
    for block in net.blocks:
        torch.nn.init.ones_(block.scale)
    values = torch.randn(1, 192, 42, generator=torch.Generator().manual_seed(0))
    values[:, 96:] = 1
    for frame, heard in ((11, False), (12, True)):
        changed = values.clone()
        changed[:, :48, frame] += 3
        assert bool((net(changed, 38)[0] != net(values, 38)[0]).any()) == heard


def test_a_run_in_bfloat16_is_judged_and_exported_in_float32(folder: Path, cache: Path, tmp_path: Path):
    path = run(folder, cache, tmp_path, "--epochs", "1", "--precision", "bfloat16")
    gains, _ = load_onnx(path)[0](np.zeros((1, 192, 102), np.float32))
    assert gains.dtype == np.float32
    assert np.isfinite(gains).all()


@pytest.mark.parametrize(("patience", "kept"), [(0, 3), (2, 1)])
def test_without_patience_the_last_epoch_is_kept_and_with_it_the_best(patience: int, kept: int):
    recipe = Recipe(channels=8, blocks=1, patience=patience)
    progress = state.fresh(recipe)
    for progress.epoch, figure in enumerate((1.0, 1.2, 1.1), start=1):
        loop._keep_best(recipe, progress, {"epoch": progress.epoch, "loss": 1.0, "unseen_8000": figure})
    assert progress.best_epoch == kept


def test_a_hole_teaches_the_trunk_nothing():
    levels = levels_of(0.1 * np.random.default_rng(0).standard_normal(20_000))
    levels.hole = torch.zeros_like(levels.hole)
    levels.hole[:, :, 40] = 1
    gains = torch.zeros(1, levels.weight.shape[1] - 38, 56).requires_grad_()

    def predict(values: torch.Tensor, delay: int) -> tuple[torch.Tensor, torch.Tensor]:
        return gains.transpose(1, 2), torch.zeros_like(gains).transpose(1, 2)

    cutoff = torch.tensor([170.0])
    loop.predictor_loss(predict, levels, cutoff, Recipe(), torch.zeros(1), judged=False)[0].backward()
    touched = gains.grad.abs().amax(dim=(0, 1)) > 0
    assert not touched[40]
    assert touched[39]


@pytest.mark.parametrize(("share", "kept"), [(0.0, 0), (0.5, None), (1.0, 8)])
def test_a_share_of_the_examples_stays_as_it_was_recorded(cache: Path, folder: Path, share: float, kept: int | None):
    segments = Segments(cache, prepare.build(read_folder(folder), cache, 1, variants=False), 40)
    plain = segments.draw(8, np.random.default_rng(1))
    chances = torch.Generator().manual_seed(1)
    mixed = augment.keep_plain(plain, augment.change_recording(plain, chances), share, chances)
    same = sum(bool(torch.equal(before, after)) for before, after in zip(plain.source, mixed.source, strict=True))
    assert 0 < same < 8 if kept is None else same == kept


def test_a_share_is_heard_as_16_khz_input_but_never_above_a_codecs_cutoff():
    cutoff, codec = torch.full((400,), 100.0), torch.tensor([480, 120]).repeat(200)
    chances = torch.Generator().manual_seed(1)
    assert torch.equal(augment.some_wideband(cutoff, codec, 0.0, chances), cutoff)
    heard = augment.some_wideband(cutoff, codec, 0.3, chances)
    assert set(heard.tolist()) == {100.0, 120.0, 170.0}
    assert 80 < int((heard != 100).sum()) < 160


def test_speech_has_the_share_that_it_is_given():
    shares = batches.domain_share(0.9)
    assert shares["speech"] == 0.9
    assert sum(shares.values()) == pytest.approx(1)
    assert batches.domain_share(0.55) == pytest.approx({"speech": 0.55, "music": 0.3, "ambience": 0.15})


def test_a_source_left_out_is_neither_learnt_from_nor_judged(
    monkeypatch: pytest.MonkeyPatch, folder: Path, cache: Path, tmp_path: Path
):
    seen: list[loop.Sets] = []

    def note(_recipe: Recipe, sets: loop.Sets, *_: object) -> None:
        seen.append(sets)
        raise InterruptedError

    monkeypatch.setattr(loop, "train", note)
    left_out = read_folder(folder)[0].source
    with pytest.raises(InterruptedError):
        main([str(folder), "--out", str(tmp_path), "--cache", str(cache), "--no-variants", "--leave-out", left_out])
    used = {clip.source for clip in seen[0].train + seen[0].known + seen[0].unseen}
    assert used
    assert left_out not in used


@pytest.mark.parametrize("variant", ["quality", "live"])
def test_the_ridge_baseline_is_a_model_like_any_other(folder: Path, cache: Path, tmp_path: Path, variant: str):
    path = tmp_path / "ridge.onnx"
    flags = ["--features", "8", "--batches", "1", "--threads", "1", "--no-variants", "--variant", variant]
    ridge.main([str(folder), "--cache", str(cache), "--out", str(path), *flags])
    predictor, layout = load_onnx(path)
    signal, _ = soundfile.read(folder / "speech_one" / "0.wav", dtype="float32")
    output = upscale(low_rate_copy(signal, 16_000), 170, predictor, layout)
    power = (np.abs(spectrum.stft(output)) ** 2)[4:-4].mean(axis=0)
    truth = (np.abs(spectrum.stft(signal)) ** 2)[4:-4].mean(axis=0)
    assert abs(np.log10(power[190:480].mean() / truth[190:480].mean())) < 0.5


def test_a_resumed_run_equals_an_uninterrupted_one(folder: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    run(folder, cache, tmp_path / "whole", "--epochs", "2")
    from train import loop

    real = loop._report

    def interrupt(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(loop, "_report", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run(folder, cache, tmp_path / "cut", "--epochs", "2")
    monkeypatch.setattr(loop, "_report", real)
    run(folder, cache, tmp_path / "cut", "--epochs", "2")
    assert (tmp_path / "whole" / "history.json").read_text() == (tmp_path / "cut" / "history.json").read_text()


def test_a_head_is_solved_on_the_trunk_of_another_run(folder: Path, cache: Path, tmp_path: Path):
    run(folder, cache, tmp_path / "first", "--epochs", "1")
    start = ["--epochs", "0", "--start-from", str(tmp_path / "first" / "checkpoint.pt")]
    path = run(folder, cache, tmp_path / "second", *start)
    windows = np.zeros((1, 192, 102), np.float32)
    both = [load_onnx(one)[0](windows)[0] for one in (path, tmp_path / "first" / "treble.onnx")]
    np.testing.assert_allclose(*both, atol=2)


def test_the_closed_form_recovers_a_known_head(folder: Path, cache: Path):
    recipe = Recipe(channels=8, blocks=6, wide=16, refit_batches=4, batch=4, core=32, geometric_share=0.5)
    torch.manual_seed(0)
    net = EnvelopeNet(8, 6, 2, 0.0, wide=16).eval()
    clips = prepare.build(read_folder(folder), cache, seed=1, variants=False)
    segments = Segments(cache, clips, recipe.core + 38)

    def error() -> float:
        levels, cutoff = refit.draw(recipe, segments, 0, np.random.default_rng(0), torch.Generator())
        heard = augment.network_input(levels.source, cutoff)
        with torch.no_grad():
            gains = net(heard, 19)[0].transpose(1, 2)
        wanted = targets.gain_target(levels, 0.5)[:, 19:-19]
        weight = targets.band_weight(levels, cutoff)[:, 19:-19]
        return float(((gains - wanted) ** 2 * weight).sum() / weight.sum())

    before = error()
    refit.refit(recipe, net, clips, cache)
    assert error() < 0.5 * before


def test_an_emptied_band_of_a_voice_is_a_hole_and_a_quiet_instrument_is_not():
    levels = np.full((2, 3, 128), -2.0)
    levels[:, 1, 70:] = -7.5
    found = holes(levels, np.array([True, False]))
    assert found[0, 1, 27:].all()
    assert not found[0, [0, 2]].any()
    assert not found[1].any()


def test_the_trunk_learns_from_a_lossy_source_and_the_head_does_not(
    folder: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    learnt = []
    monkeypatch.setattr(loop, "Segments", lambda _, clips, *_rest: learnt.append({clip.source for clip in clips}))
    monkeypatch.setattr("train.__main__.refit", lambda _, net, clips, cache: learnt.append({clip.source for clip in clips}))
    flags = ["--out", str(tmp_path), "--cache", str(cache), "--no-variants", "--lossy", "speech_two", "--everything"]
    main([str(folder), *flags, *TINY, "--epochs", "0", "--polish-steps", "0"])
    assert learnt[0] == {"speech_one", "speech_two"}
    assert learnt[-1] == {"speech_one"}
    assert "without the lossy speech_two" in (tmp_path / "MODEL_CARD.md").read_text()


def test_a_card_names_a_source_left_out_and_does_not_count_it_as_data(folder: Path, cache: Path, tmp_path: Path):
    model = run(folder, cache, tmp_path, "--epochs", "1", "--hold-back", "", "--leave-out", "speech_two")
    flags = ["--run", str(tmp_path), "--model", str(model), "--out", str(tmp_path / "again.md")]
    card.main([str(folder), *flags])
    for written in (tmp_path / "MODEL_CARD.md", tmp_path / "again.md"):
        text = written.read_text()
        assert "left out: speech_two" in text
        assert "| speech_one |" in text
        assert "| speech_two |" not in text


def test_a_checkpoint_of_another_recipe_is_refused(folder: Path, cache: Path, tmp_path: Path):
    run(folder, cache, tmp_path, "--epochs", "1")
    with pytest.raises(ValueError, match="another recipe"):
        run(folder, cache, tmp_path, "--epochs", "1", "--seed", "2")


@pytest.mark.parametrize("flag", ["--hold-back", "--lossy", "--leave-out"])
def test_an_unknown_source_is_refused(folder: Path, cache: Path, tmp_path: Path, flag: str):
    with pytest.raises(SystemExit, match="nobody"):
        main([str(folder), "--out", str(tmp_path), "--cache", str(cache), "--no-variants", flag, "nobody"])


def test_torch_features_equal_the_contracts():
    signal = (0.1 * np.random.default_rng(1).standard_normal(6000)).astype(np.float32)
    spectra = spectrum.stft(signal)
    level = torch.from_numpy(np.log10(features.band_power(spectra) + 1e-8).astype(np.float32))[None]
    ours = augment.network_input(level, torch.tensor([171.0]))[0].numpy()
    np.testing.assert_allclose(ours, features.features(spectra, 171), atol=1e-5)


def test_gains_follow_the_level_of_the_input():
    torch.manual_seed(0)
    net = EnvelopeNet(16, 6, 2, 0.0).eval()
    with torch.no_grad():
        net.stem.weight[:, -1] = 0
    values = torch.randn(1, 192, 50)
    values[:, 96:] = 1
    louder = values.clone()
    louder[:, :96] += 0.5
    np.testing.assert_allclose((net(louder, 19)[0] - net(values, 19)[0]).detach().numpy(), 1.0, atol=1e-4)


def levels_of(signal: np.ndarray) -> augment.Levels:
    """Levels `[1, frames, 128]` of one signal."""
    power = np.abs(spectrum.stft(signal.astype(np.float32))) ** 2
    bands = np.log10(power[:, :-1].reshape(len(power), 128, 4).mean(axis=-1) + 1e-8)
    logmean = np.log10(power[:, :-1] + 1e-8).reshape(len(power), 128, 4).mean(axis=-1)
    target, geometric = (torch.from_numpy(values.astype(np.float32))[None] for values in (bands, logmean))
    return augment.Levels(
        target,
        target,
        geometric,
        torch.tensor([480]),
        torch.tensor([400]),
        torch.ones(1, len(power)),
        torch.zeros(1, len(power), 56),
    )


def test_noise_wants_no_copy_and_its_own_power():
    levels = levels_of(0.1 * np.random.default_rng(0).standard_normal(48_000))
    assert targets.mix_target(levels, torch.tensor([170.0])).mean() < 0.05
    gains = targets.gain_target(levels, 0.5)
    assert float(gains.mean()) == pytest.approx(np.log10(0.01 * 384), abs=0.07)


def test_lines_want_the_copy():
    time = np.arange(48_000) / 48_000
    lines = sum(0.02 * np.sin(2 * np.pi * 500 * k * time) for k in range(1, 44))
    assert targets.mix_target(levels_of(lines), torch.tensor([170.0]))[:, 5:-5].mean() > 0.7


def test_nothing_is_learnt_above_the_roll_off_or_below_the_cutoff():
    weight = targets.band_weight(levels_of(np.ones(4000)), torch.tensor([170.0]))[0, 3]
    judged = torch.nonzero(weight).flatten() * 8 + 64
    assert judged.min() == 168
    assert judged.max() + 8 <= 400


def test_align_undoes_a_delay():
    signal = np.random.default_rng(0).standard_normal(9000).astype(np.float32)
    delayed = np.concatenate([np.zeros(700, np.float32), signal])
    np.testing.assert_array_equal(align(delayed, signal), signal)


def test_low_rate_copy_keeps_the_band_and_nothing_else():
    signal = np.random.default_rng(0).standard_normal(48_000).astype(np.float32)
    power = (np.abs(spectrum.stft(low_rate_copy(signal, 16_000))[4:-4]) ** 2).mean(axis=0)
    whole = (np.abs(spectrum.stft(signal)[4:-4]) ** 2).mean(axis=0)
    ratio = 10 * np.log10(power / whole)
    assert np.abs(ratio[2:164]).max() < 0.1
    assert ratio[174:].max() < -50


def test_torch_synthesis_equals_the_contracts():
    signal = (0.1 * np.random.default_rng(4).standard_normal(1024 + 256 * 9)).astype(np.float32)
    spectra = polish.spectra(torch.from_numpy(signal)[None], 1024, 256)
    copy = polish.copy_up(spectra, torch.tensor([170.0]))[0, :, 180:240].numpy()
    np.testing.assert_allclose(copy, excitation.copy_spectra(spectra[0].numpy(), 170)[:, 10:70], atol=1e-3)
    gains = torch.randn(1, 10, 56)
    np.testing.assert_allclose(polish.spread(gains)[0, :, 170:-1], synthesis.spread(gains[0].numpy(), 170), atol=1e-5)


def test_the_waveform_loss_sees_what_the_judge_sees():
    generator = torch.Generator().manual_seed(0)
    gains, mix = torch.full((1, 60, 56), -1.0), torch.zeros(1, 60, 56)
    low = torch.zeros(1, 60, 513, dtype=torch.complex64)
    cutoff, rolloff = torch.tensor([170.0]), torch.tensor([24_000.0])
    one, other, louder = (
        polish.synthesise(level, mix, low, cutoff, generator)[:, 1024:-1024] for level in (gains, gains, gains + 1)
    )
    hertz = cutoff * 48_000 / 1024
    same = float(polish.spectral_loss(one, other, hertz, rolloff))
    assert same == pytest.approx(0.79, abs=0.04)
    assert float(polish.spectral_loss(louder, other, hertz, rolloff)) > same + 0.4
