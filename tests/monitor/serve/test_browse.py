"""What a server tells of a run: status, models, reports, samples, counters, its API."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pyarrow.parquet as pq
import pytest
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families
from sklearn.preprocessing import StandardScaler

from tests.kit.job import metrics, models
from tests.kit.serve import (
    JSON,
    NAMES,
    client,
    close,
    expected,
    flip,
    open_model,
    problem_of,
    rows,
    until,
)


def get_json(api: TestClient, path: str) -> Any:
    answer = api.get(path)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_status_shows_what_serves_and_how_the_run_stands(api: TestClient, run: Path) -> None:
    found = get_json(api, "/status")
    assert found["model"] == NAMES[2] and found["ended"] is True
    assert found["run"] == json.loads((run / "status.json").read_text())
    assert found["settings"] == json.loads((run / "settings.json").read_text())


def test_status_of_a_run_that_has_just_begun_has_nulls(mine: Path) -> None:
    for path in ("models", "metrics", "sample"):
        shutil.rmtree(mine / path)
    for path in ("status.json", "ended.json"):
        (mine / path).unlink()
    with client(mine) as api:
        found = get_json(api, "/status")
        assert (found["model"], found["since"], found["ended"]) == (None, None, False)
        assert found["run"] is None
        assert get_json(api, "/models") == get_json(api, "/refreshes") == []
        for path in ("/data", "/normalized"):
            problem_of(api.get(path), 404, "not_found")


def test_models_are_listed_newest_first_with_their_manifests(api: TestClient, run: Path) -> None:
    found = get_json(api, "/models")
    assert [one["name"] for one in found] == NAMES[::-1]
    assert [one["serving"] for one in found] == [True, False, False]
    assert {one["name"]: one["manifest"] for one in found} == {
        name: {k: v for k, v in manifest.items() if k not in ("statistics", "profile")}
        for name, manifest in models(run).items()
    }
    assert [one["name"] for one in get_json(api, "/models?limit=1")] == NAMES[2:]


def test_the_list_of_models_is_small_whatever_their_windows_hold(mine: Path) -> None:
    for name in NAMES:
        path = mine / "models" / name / "manifest.json"
        manifest = json.loads(path.read_text())
        values = {f"category {number}": 1 for number in range(100_000)}
        manifest["statistics"]["cargo"] = {"count": 100_000, "nulls": 0, "values": values}
        path.write_text(json.dumps(manifest))
    with client(mine) as api:
        assert len(api.get("/models").content) < 100_000
        assert len(api.get(f"/models/{NAMES[0]}").content) > 1_000_000


def test_a_manifest_that_is_written_anew_is_read_anew(mine: Path) -> None:
    with client(mine) as api:
        assert get_json(api, "/models")[2]["manifest"] is not None
        path = mine / "models" / NAMES[0] / "manifest.json"
        path.write_text(path.read_text().replace('"rows": ', '"rows": 1'))
        assert get_json(api, "/models")[2]["manifest"]["rows"] == models(mine)[NAMES[0]]["rows"]
        path.unlink()
        assert [one["name"] for one in get_json(api, "/models")] == NAMES[:0:-1]


def test_a_damaged_model_is_listed_with_the_reason(mine: Path) -> None:
    (mine / "models" / NAMES[0] / "manifest.json").write_text("{}")
    with client(mine) as api:
        listed = get_json(api, "/models")[2]
        assert (listed["name"], listed["manifest"]) == (NAMES[0], None)
        assert listed["damaged"].startswith(f"{NAMES[0]}: manifest.json: ")
        problem_of(api.get(f"/models/{NAMES[0]}"), 409, "model_damaged")


def test_a_model_is_its_manifest(api: TestClient, run: Path) -> None:
    for name, manifest in models(run).items():
        assert get_json(api, f"/models/{name}") == manifest
    problem_of(api.get("/models/20300101T000000Z"), 404, "not_found")
    problem_of(api.get("/models/20301301T000000Z"), 404, "not_found")
    problem_of(api.get("/models/nonsense"), 422, "bad_parameter")
    problem_of(api.get("/models/..%2f..%2fsettings.json"), 404, "not_found")


def test_windows_are_the_reports_newest_first(api: TestClient, run: Path) -> None:
    assert get_json(api, "/refreshes") == metrics(run)[::-1]
    assert get_json(api, "/refreshes?limit=2") == metrics(run)[:0:-1]


def test_figures_that_later_versions_add_go_through(mine: Path) -> None:
    path = max((mine / "metrics").glob("*.json"))
    path.write_text(json.dumps({**json.loads(path.read_text()), "later": 7, "text": "x"}))
    with client(mine) as api:
        assert get_json(api, "/refreshes")[0]["later"] == 7
        found = values(api)
    assert found["correnteza_refresh_later", ()] == 7
    assert ("correnteza_refresh_text", ()) not in found


def test_the_drift_of_features_and_predictions_is_shown(mine: Path) -> None:
    path = max((mine / "metrics").glob("*.json"))
    drift = {
        "features": {"prediction": {"psi": 0.25, "mean_shift": None}, "idh": {"psi": 0.5}},
        "prediction": {"psi": 0.125, "mean_shift": -1.0},
        "shares": {"yes": 0.75, "no": 0.25},
    }
    path.write_text(json.dumps({**json.loads(path.read_text()), "drift": drift}))
    with client(mine) as api:
        found = values(api)
    shown = {(name, *dict(labels).values()): v for (name, labels), v in found.items()}
    assert {k[1:]: v for k, v in shown.items() if k[0] == "correnteza_refresh_drift"} == {
        ("prediction", "psi"): 0.25,
        ("idh", "psi"): 0.5,
    }
    assert {k[1:]: v for k, v in shown.items() if k[0].endswith("prediction_drift")} == {
        ("psi", "prediction"): 0.125,
        ("mean_shift", "prediction"): -1.0,
    }
    assert {k[1:]: v for k, v in shown.items() if k[0].endswith("predicted_share")} == {
        ("yes",): 0.75,
        ("no",): 0.25,
    }


def test_a_new_report_is_seen_and_a_removed_one_is_forgotten(mine: Path) -> None:
    paths = sorted((mine / "metrics").glob("*.json"))
    data = paths[2].read_bytes()
    paths[2].unlink()
    with client(mine) as api:
        assert len(get_json(api, "/refreshes")) == 2
        paths[2].write_bytes(data)
        until(lambda: len(get_json(api, "/refreshes")) == 3)
        paths[0].unlink()
        until(lambda: len(get_json(api, "/refreshes")) == 2)


@pytest.mark.parametrize("limit", ["0", "1001", "-1", "x", "1.5"])
@pytest.mark.parametrize("path", ["/models", "/refreshes", "/data", "/normalized"])
def test_a_limit_that_is_not_allowed_is_refused(path: str, limit: str, api: TestClient) -> None:
    problem = problem_of(api.get(path, params={"limit": limit}), 422, "bad_parameter")
    assert problem["errors"][0]["where"] == "query.limit"


def test_data_is_the_newest_sample_as_it_came(api: TestClient, run: Path) -> None:
    path = max((run / "sample").glob("*.parquet"))
    found = get_json(api, "/data?limit=1000")
    assert found["refresh"] == path.stem
    sample = pq.read_table(path)
    for name in ("id", "salario", "idade", "idh", "estado", "cargo", "prediction"):
        assert [row[name] for row in found["rows"]] == sample.column(name).to_pylist()
    assert len(get_json(api, "/data?limit=3")["rows"]) == 3


def test_normalized_is_what_the_models_scaler_makes_of_the_same_rows(
    api: TestClient, run: Path
) -> None:
    found = get_json(api, "/normalized?limit=1000")["rows"]
    raw = get_json(api, "/data?limit=1000")["rows"]
    [model] = {report["model"] for report in metrics(run) if report["model"] == NAMES[1]}
    statistics = models(run)[model]["statistics"]
    scaler = StandardScaler().fit([[0.0, 0.0]])
    scaler.mean_ = np.array([statistics[name]["mean"] for name in ("idade", "idh")])
    variances = [statistics[name]["variance"] for name in ("idade", "idh")]
    scaler.scale_ = np.sqrt(variances)
    wanted = scaler.transform([[row["idade"], row["idh"]] for row in raw])
    assert close([row["idade"] for row in found], wanted[:, 0])
    assert close([row["idh"] for row in found], wanted[:, 1])
    for name in ("id", "time", "salario", "estado", "cargo"):
        assert [row[name] for row in found] == [row[name] for row in raw]


def test_predictions_of_the_sample_are_the_ones_that_the_server_gives(api: TestClient) -> None:
    sample = get_json(api, "/data?limit=1000")["rows"]
    answer = api.post("/predict", params={"model": NAMES[1]}, json=sample).json()
    assert close(answer["predictions"], [row["prediction"] for row in sample])


def values(api: TestClient) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """What Prometheus would read."""
    text = api.get("/metrics").text
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_requests_rows_models_and_the_newest_report_are_counted(mine: Path) -> None:
    with client(mine) as api:
        for _ in range(3):
            api.post("/predict", json=rows())
        api.post("/predict", json=[1])
        api.get("/nothing")
        flip(mine / "models" / NAMES[0] / "model.joblib")
        found = values(api)
    labels = {"method": "POST", "path": "/predict"}

    def requests(status: str) -> float:
        return found["correnteza_requests_total", tuple({**labels, "status": status}.items())]

    assert (requests("200"), requests("422")) == (3, 1)
    other = (("method", "any"), ("path", "other"), ("status", "404"))
    assert found["correnteza_requests_total", other] == 1
    assert found["correnteza_request_seconds_count", (("path", "/predict"),)] == 4
    assert found["correnteza_rows_predicted_total", ()] == 12
    assert found["correnteza_model_swaps_total", ()] == 1
    sha = models(mine)[NAMES[2]]["sha256"]
    assert found["correnteza_model", (("model", NAMES[2]), ("sha256", sha))] == 1
    assert found["correnteza_model_age_seconds", ()] > 0
    report = metrics(mine)[2]
    for name in ("rows", "late", "rejected", "mae", "rmse", "r2", "skill"):
        assert found[f"correnteza_refresh_{name}", ()] == report[name]


def test_figures_that_a_report_has_not_are_not_shown(mine: Path) -> None:
    for path in sorted((mine / "metrics").glob("*.json"))[1:]:
        path.unlink()
    with client(mine) as api:
        found = values(api)
    assert found["correnteza_refresh_rows", ()] == metrics(mine)[0]["rows"]
    assert ("correnteza_refresh_mae", ()) not in found


def resolve(api: TestClient) -> dict[str, Any]:
    found: dict[str, Any] = get_json(api, "/openapi.json")
    return found


def test_every_route_describes_its_errors_in_the_one_shape(api: TestClient) -> None:
    described = resolve(api)
    for path, methods in described["paths"].items():
        for method in methods.values():
            errors = {k: v for k, v in method["responses"].items() if k not in ("200",)}
            assert errors, path
            for answer in errors.values():
                [(media, content)] = answer["content"].items()
                assert media == "application/problem+json"
                assert content["schema"]["$ref"] == "#/components/schemas/ProblemDetails"
    assert "HTTPValidationError" not in described["components"]["schemas"]


def test_the_examples_of_the_api_can_be_asked_for(api: TestClient, run: Path) -> None:
    content = resolve(api)["paths"]["/predict"]["post"]["requestBody"]["content"][JSON]
    for example in content["examples"].values():
        jsonschema.validate(example["value"], content["schema"])
        assert api.post("/predict", json=example["value"]).status_code == 200
    one = content["examples"]["one row"]["value"]
    assert one["idade"] == open_model(run, NAMES[2]).statistics.numeric("idade").mean
    assert set(one) == {"idade", "idh", "estado", "cargo"}


def test_answers_are_as_the_api_describes_them(api: TestClient) -> None:
    described = resolve(api)
    asked = [("post", "/predict"), *(("get", f"/{name}") for name in ROUTES)]
    for method, path in asked:
        answer = api.request(method, path, json=rows() if method == "post" else None)
        content = described["paths"][path][method]["responses"]["200"]["content"][JSON]
        schema = {**content["schema"], "components": described["components"]}
        jsonschema.validate(answer.json(), schema)


ROUTES = ("health", "status", "models", "windows", "data", "normalized")


def test_the_api_of_a_server_with_a_key_shows_where_it_is_asked_for(run: Path) -> None:
    secret = "0123456789abcdef"
    with client(run, key=secret) as api:
        described = api.get("/openapi.json", headers={"X-API-Key": secret}).json()
    for path, methods in described["paths"].items():
        for method in methods.values():
            assert ("security" in method) == ("401" in method["responses"]) == (path != "/health")
    assert set(described["components"]["securitySchemes"]) == {"key", "bearer"}


def test_the_predictions_of_the_example_are_the_models(api: TestClient, run: Path) -> None:
    content = resolve(api)["paths"]["/predict"]["post"]["requestBody"]["content"][JSON]
    one = content["examples"]["one row"]["value"]
    columns = {name: [value] for name, value in one.items()}
    assert api.post("/predict", json=one).json()["predictions"] == expected(run, NAMES[2], columns)


def test_the_run_is_reported_as_operators_need_it(mine: Path) -> None:
    status = json.loads((mine / "status.json").read_text())
    status |= {"state": "running", "updated": "2026-01-01T00:03:10Z", "rows_read": 1234}
    status |= {"watermark": "2026-01-01T00:03:00Z"}
    partition = {"lag_rows": 7, "lag_seconds": None, "undecoded": 2, "idle": True}
    status |= {"topic": {"lag_rows": 7, "by_partition": {"3": partition}}}
    (mine / "status.json").write_text(json.dumps(status))
    settings = json.loads((mine / "settings.json").read_text())
    (mine / "settings.json").write_text(json.dumps({**settings, "live": True}))
    skip = {"format": 1, "window_start": "2026-01-01T00:03:00Z", "rows": 1, "reason": "few"}
    (mine / "skipped").mkdir(exist_ok=True)
    for number, kind in ((4, "few_rows"), (5, "few_rows"), (6, "fit_failed")):
        name, end = f"20260101T000{number}00Z", f"2026-01-01T00:0{number}:00Z"
        one = {**skip, "window_end": end, "kind": kind}
        (mine / "skipped" / f"{name}.json").write_text(json.dumps(one))
    newest = max((mine / "metrics").glob("*.json"))
    alert = {"format": 1, "refresh_start": "2026-01-01T00:02:00Z", "model": NAMES[1]}
    alert |= {"what": "psi", "threshold": 0.25}
    lines = [{**alert, "column": c, "value": v} for c, v in (("idh", 0.5), ("prediction", 0.75))]
    (mine / "alerts").mkdir(exist_ok=True)
    path = mine / "alerts" / f"{newest.stem}.ndjson"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    with client(mine) as api:
        found = {(name, *dict(labels).values()): v for (name, labels), v in values(api).items()}
        skipped = get_json(api, "/skipped?limit=2")
    prefix = "correnteza_"
    states = {k[1]: v for k, v in found.items() if k[0] == f"{prefix}run_state"}
    assert [state for state, value in states.items() if value] == ["running"]
    assert {"starting", "running", "done", "drained", "interrupted", "failed", "other"} == {*states}
    assert found[f"{prefix}run_rows_read_total",] == 1234
    assert found[f"{prefix}run_watermark_lag_seconds",] == 10
    of_topic = {k[0].removeprefix(prefix): v for k, v in found.items() if k[1:] == ("3",)}
    assert of_topic == {"topic_lag_rows": 7, "topic_undecoded_records": 2, "topic_idle": 1}
    assert found[f"{prefix}run_update_age_seconds",] > 0
    assert found[f"{prefix}run_refreshes_total",] == 3
    reports = metrics(mine)
    for kind, field in (("accepted", "rows"), ("scored", "scored"), ("late", "late")):
        wanted = sum(report[field] for report in reports)
        assert found[f"{prefix}run_rows_total", kind] == wanted
    assert found[f"{prefix}run_skipped_windows_total", "few_rows"] == 2
    assert found[f"{prefix}run_skipped_windows_total", "fit_failed"] == 1
    assert found[f"{prefix}run_alerted_refreshes_total",] == 1
    assert found[f"{prefix}refresh_alerts",] == 2
    assert found[f"{prefix}refresh_alert", "idh", "psi"] == 0.5
    assert found[f"{prefix}models",] == 3
    assert found[f"{prefix}damaged_files", "metrics"] == 0
    assert found[f"{prefix}look_failed",] == 0
    assert [one["kind"] for one in skipped] == ["fit_failed", "few_rows"]


def test_alerts_of_a_feature_called_prediction_are_one_series(mine: Path) -> None:
    newest = max((mine / "metrics").glob("*.json"))
    alert = {"format": 1, "refresh_start": "2026-01-01T00:02:00Z", "model": NAMES[1]}
    alert |= {"what": "mean_shift", "threshold": 0.5, "column": "prediction"}
    (mine / "alerts").mkdir(exist_ok=True)
    lines = [json.dumps({**alert, "value": value}) for value in (0.75, -2.0)]
    (mine / "alerts" / f"{newest.stem}.ndjson").write_text("\n".join(lines) + "\n")
    with client(mine) as api:
        text = api.get("/metrics").text
    [line] = [line for line in text.splitlines() if line.startswith("correnteza_refresh_alert{")]
    assert line.endswith(" -2.0")
