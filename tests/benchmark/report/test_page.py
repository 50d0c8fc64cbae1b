"""Claims proved here, on the page.

- It shows the table that `3die compare` prints, number for number, with chance and reference rows;
  groups that can't be compared stand apart, a run that stands twice is one, and what can't be
  read costs itself only.
- It is one well-formed file that loads nothing and runs its own script only; ids are unique, every
  label has its target, tables have headers with scopes, figures a name and a table.
- Whatever stands in results.json, config.json or log.jsonl is text: no markup, no path of a user,
  no secret; extreme numbers and long texts don't break it.
- Equal runs give equal bytes; it has a bound, and gets leaner to keep it.
"""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path
from typing import Any

import pytest

from tests.benchmark.report.cases import (
    FLAT,
    Json,
    body,
    changed,
    curve,
    number,
    record,
    run_folder,
)
from tests.pages import Page
from threedie.benchmark.compare import compare
from threedie.benchmark.grouping import read_entries
from threedie.benchmark.report import write
from threedie.benchmark.report.palette import DARK, LIGHT, SERIES
from threedie.benchmark.report.write import write_report
from threedie.errors import ConfigError

HOSTILE = "</script></pre><script>alert(1)</script><img src=x onerror=alert(2)>\"'`{{7*7}}"


def page_of(folder: Path, *wholes: Json, **options: Any) -> Page:
    """The report over runs of these results."""
    runs = [
        run_folder(folder / f"run{i}", whole, config=record()) for i, whole in enumerate(wholes)
    ]
    out, _ = write_report(runs, folder / "report.html", **options)
    return Page(out.read_bytes())


def test_numbers_are_those_of_compare(tmp_path: Path) -> None:
    wholes = [body("sie", 0, top1=0.4), body("sie", 1, top1=0.6), body("vicreg", 0, top1=0.3)]
    page = page_of(tmp_path, *wholes)
    assert "sie 2 0.500 ± 0.141 0.400 ± 0.000" in page.text
    assert "vicreg 1 0.300 0.250 to 0.350 0.400 0.350 to 0.450" in page.text
    assert "chance knows nothing – 0.125 0.223" in page.text
    assert "identity a predictor that does nothing – – – – 0.293" in page.text
    (table,) = compare(read_entries([tmp_path / f"run{i}" for i in range(3)])[0])
    for row in table.rows:
        for column, values in row.cells.items():
            assert f"{sum(values) / len(values):.{column.digits}f}" in page.text
    assert "3 runs of 2 methods on 1 data set." in page.text


def test_what_can_not_be_compared_stands_apart(tmp_path: Path) -> None:
    other = changed(body("sie", 0), dataset__hash="12" * 32, dataset__recipe="yaw")
    quick = changed(body("sie", 0), protocol__changed=["rotation"])
    page = page_of(tmp_path, body(), other, quick)
    assert [a["id"] for a in page.all("section")][:3] == ["group-1", "group-2", "group-3"]
    assert "They fall into 3 groups" in page.text
    assert "not 3die-v1: changed rotation" in page.text
    assert "Published values are not drawn" in page.text  # of yaw
    assert page.text.count("sie 1 0.500") == 3


def test_a_run_that_stands_twice_is_one_seed(tmp_path: Path) -> None:
    wholes = {"a": body("sie", 0, top1=0.4), "b": body("sie", 1, top1=0.6)}
    runs = [run_folder(tmp_path / name, whole) for name, whole in wholes.items()]
    copy = run_folder(tmp_path / "copy", wholes["a"])
    out, left_out = write_report([*runs, copy, runs[1]], tmp_path / "r.html")
    page = Page(out.read_bytes())
    assert "sie 2 0.500 ± 0.141" in page.text
    assert "2 runs of 1 method on 1 data set." in page.text
    assert left_out == [
        "copy/results.json: the same method, settings and seed as a/results.json.",
        "b/results.json: the same method, settings and seed as b/results.json.",
    ]
    assert all(line in page.text for line in left_out)


def test_what_can_not_be_read_costs_itself_only(tmp_path: Path) -> None:
    good = run_folder(tmp_path / "good", body())
    bad = tmp_path / "bad"
    bad.mkdir()
    (bad / "results.json").write_text("{")
    (good / "log.jsonl").write_text("[[[")
    (good / "config.json").write_text("{}")
    out, left_out = write_report([good, bad, tmp_path / "gone"], tmp_path / "r.html")
    page = Page(out.read_bytes())
    assert len(left_out) == 2
    assert "bad/results.json" in page.text
    assert "log.jsonl was left out" in page.text
    assert "config.json was left out" in page.text
    assert "there is no log.jsonl" in page.text
    assert str(tmp_path) not in page.source
    with pytest.raises(ConfigError, match="no results"):
        write_report([bad], tmp_path / "r.html")


def test_a_page_that_loads_nothing(tmp_path: Path) -> None:
    page = page_of(tmp_path, body(), body("vicreg"))
    policy = next(m["content"] for m in page.all("meta") if "http-equiv" in m)
    assert policy is not None
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    for tag in ("script", "style"):
        (text,) = (t for inside, t in page.inside if inside == tag)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    for tag, attrs in page.tags:
        assert tag not in ("link", "iframe", "object", "embed", "base", "form")
        assert not [name for name in attrs if name.startswith("on") or name == "style"]
        for name in ("src", "href"):
            assert name not in attrs or str(attrs[name]).startswith(("data:image/jpeg", "#"))


def test_a_page_for_everybody(tmp_path: Path) -> None:
    page = page_of(tmp_path, body(), body("vicreg"))
    ids = [str(a["id"]) for _, a in page.tags if "id" in a]
    assert len(set(ids)) == len(ids)
    for _, attrs in page.tags:
        for target in str(attrs.get("aria-labelledby") or "").split():
            assert target in ids
        if str(attrs.get("href", "")).startswith("#"):
            assert str(attrs["href"])[1:] in ids
    assert page.all("html")[0]["lang"] == "en"
    assert len(page.all("h1")) == len(page.all("main")) == 1
    assert all(th.get("scope") in ("row", "col") for th in page.all("th"))
    assert all(i["alt"] and i["width"] for i in page.all("img"))
    drawn = page.all("svg")
    assert len(drawn) == 2 + 1 + 2 * 3  # two kinds of R², one curve, three panels of each run
    assert all(s["role"] == "img" and s["aria-labelledby"] for s in drawn)
    regions = [a for _, a in page.tags if a.get("role") == "region"]
    assert all(
        r["tabindex"] == "0" and (r.keys() & {"aria-label", "aria-labelledby"}) for r in regions
    )
    assert len(page.all("label")) == len(page.all("input"))


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_colors_can_be_told_apart_from_their_ground(theme: dict[str, str]) -> None:
    for ground in ("page", "card"):
        for ink in ("text", "dim", "link", "good", "warn", "bad"):
            assert contrast(theme[ink], theme[ground]) >= 4.5, ink
        for series in range(SERIES):
            assert contrast(theme[f"s{series}"], theme[ground]) >= 3, series
    for heat in (name for name in theme if re.fullmatch(r"h\d", name)):
        assert contrast(theme["text"], theme[heat]) >= 4.5, heat


def contrast(one: str, other: str) -> float:
    """WCAG's ratio of relative luminances."""
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(color: str) -> float:
    shares = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares]
    return sum(w * s for w, s in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def hostile(text: str) -> Json:
    """The text wherever results.json takes one."""
    whole = changed(
        body(text),
        encoder__config={"data": text, text: text, "deep": [{text: [text]}], "seed": text},
        protocol__name=text,
        protocol__changed=[text],
        protocol__settings={
            "size": text,
            "batchnorm": text,
            "rotation": {"hidden": [text]},
            text: 1,
        },
        dataset__recipe=text,
        device=text,
        finished=text,
        notes=[text] * 50,
        per_class={"all": {"top1": {text: number(0.5)}}},
    )
    whole["dataset"]["splits"][text] = {"objects": 1, "hash": VAL_HASH}
    whole["versions"] |= {"torch": text}
    whole["seconds"] |= {text: 1.0}
    whole["references"] |= {text: {"mrr_val": number(1.0)}}
    whole["metrics"]["all"]["h_at_1_val"] = {**number(None), "note": text or "-"}
    whole["chance"]["top1"]["note"] = text
    return whole


VAL_HASH = "99" * 32


def test_hostile_text_is_text(tmp_path: Path) -> None:
    config = {**record(method=HOSTILE, preset=HOSTILE, precision=HOSTILE), "commit": HOSTILE}
    config |= {"versions": {HOSTILE: HOSTILE}, "started": HOSTILE}
    log = [{**row, HOSTILE: 1.0 + row["step"]} for row in FLAT]
    run = run_folder(tmp_path / "run", hostile(HOSTILE), log=log, config=config)
    out, _ = write_report([run], tmp_path / "r.html", figures=tmp_path / "figures")
    page, plain = Page(out.read_bytes()), page_of(tmp_path / "plain", body())
    assert {tag for tag, _ in page.tags} <= {tag for tag, _ in plain.tags}
    assert len(page.all("script")) == 1
    assert not page.all("img")
    assert not [a for _, a in page.tags if "onerror" in a]
    assert page.text.count("alert(1)") > 10
    assert "49" not in re.findall(r"`(\d+)", page.text)  # no template in a text is run
    drawn = list((tmp_path / "figures").iterdir())
    assert all("<script" not in f.read_text() for f in drawn if f.suffix == ".svg")
    assert all(re.fullmatch(r"[A-Za-z0-9-]+[.](svg|png)", f.name) for f in drawn)


@pytest.mark.parametrize(
    "text", ["\x00\x1b[31m\u202e\ud800\u2028", "x" * 300_000, "", "}}{%", "🪑" * 90, "‮" * 5]
)
def test_odd_text_breaks_nothing(tmp_path: Path, text: str) -> None:
    page = page_of(tmp_path, hostile(text))
    assert len(page.source) < 500_000
    assert not re.search("[\x00-\x08\x0b-\x1f\u202a-\u202e\ud800-\udfff]", page.source)


def test_extreme_numbers_break_nothing(tmp_path: Path) -> None:
    huge = number(1e308, -1e308, 1e308)
    whole = body()
    for name in list(whole["metrics"]["all"]):
        whole["metrics"]["all"][name] = huge
    whole["chance"]["top1"] = number(-1e308)
    whole["curves"]["all"] = {
        "top1": curve("relative", 1e308, 5e-324, -1e308),
        "mrr_val": {"axis": "relative", "edges_deg": [5.0, 5.0], "points": [number(1.0)]},
        "rotation_r2_global": curve("relative", *[0.5] * 500),
    }
    whole["per_class"]["all"]["top1"] = {f"c{i}": number(5e-324 * i) for i in range(3000)}
    whole["seed"] = 10**400
    whole["encoder"]["config"]["seed"] = 10**4000
    log = [{"step": 10**i, "loss": float(10**i), "grad": 5e-324 * i} for i in range(300)]
    log.append({"step": 10**400, "loss": 10**400, "online_top1": "no", "repr_rank": None})
    run = run_folder(tmp_path / "run", whole, log=log, config=record(pairs=10**400))
    twin = run_folder(tmp_path / "twin", changed(whole, encoder__checkpoint_sha256=None))
    out, _ = write_report([run, twin], tmp_path / "r.html", figures=tmp_path / "figures")
    page = Page(out.read_bytes())
    assert len(page.source) < 700_000
    assert "nan" not in " ".join(str(a) for _, a in page.tags).lower()


@pytest.mark.parametrize(
    "secret",
    [
        "/home/marie/runs/sie",
        "~/marie/x",
        "C:\\Users\\marie\\x",
        "\\\\marie\\share",
        "https://marie:pw@host.marie/x?token=marie",
        "s3://bucket-marie/x",
        "read /data/marie/x.pt and 'file:///srv/marie/y'",
        "token=marie123",
        "hf_marie0123456789abcdef",
    ],
)
def test_no_place_and_no_secret(tmp_path: Path, secret: str) -> None:
    page = page_of(tmp_path, hostile(secret))
    assert "marie" not in page.source
    assert "someone" not in page.source  # the data's folder in config.json


def test_a_secret_of_a_config_is_withheld(tmp_path: Path) -> None:
    whole = changed(body(), encoder__config={"wandb_token": "abc-marie", "seed": 0})
    page = page_of(tmp_path, whole)
    assert "marie" not in page.source
    assert "[withheld]" in page.text


def test_equal_runs_give_equal_bytes(tmp_path: Path) -> None:
    one = page_of(tmp_path / "one", body(), body("vicreg"))
    other = page_of(tmp_path / "other" / "place", body(), body("vicreg"))
    assert one.source == other.source


def test_it_gets_leaner_to_keep_its_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wholes = [body("sie", seed) for seed in range(3)]
    whole = page_of(tmp_path, *wholes)
    assert '"curves"' in whole.text
    sizes = []
    for target, raw, drawn in ((len(whole.source) - 1, True, 3), (1, False, 0)):
        monkeypatch.setattr(write, "TARGET_BYTES", target)
        page = page_of(tmp_path, *wholes)
        assert '"curves"' not in page.text
        assert ('"schema_version"' in page.text) is raw
        assert len(page.all("svg")) == 3 + 3 * drawn
        sizes.append(len(page.source))
    assert sizes[1] < sizes[0] < len(whole.source)
    monkeypatch.setattr(write, "MOST_BYTES", 1000)
    with pytest.raises(ConfigError, match=r"--allow-large"):
        page_of(tmp_path, *wholes)
    assert page_of(tmp_path, *wholes, allow_large=True).source == whole.source


def test_data_that_is_no_folder(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such folder"):
        page_of(tmp_path, body(), data=str(tmp_path / "gone"))


def test_how_to_get_the_gallery_is_said(tmp_path: Path) -> None:
    assert "3die report RUNS --data DATASET" in page_of(tmp_path, body()).text
