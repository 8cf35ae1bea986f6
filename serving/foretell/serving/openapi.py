"""The routes as OpenAPI 3.1, with schemas from the same types that read and write the bodies."""

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any, Final

import msgspec

from foretell.serving import messages
from foretell.serving.champions import Champion
from foretell.serving.options import Options
from foretell.serving.questions import levels_type
from foretell.serving.refusals import Refusal

ANSWERS: Final[tuple[type[msgspec.Struct], ...]] = (
    messages.Answer,
    messages.Targets,
    messages.Models,
    messages.Health,
    messages.Readiness,
    Refusal,
)
JSON: Final = "application/json"
ARROW: Final = "application/vnd.apache.arrow.stream"
REFUSED: Final = {
    400: "The body is not what its content type says.",
    401: "This server asks for a token.",
    404: "No champion for that target.",
    405: "The path has no such method.",
    413: "The body or its rows are too many.",
    415: "Neither JSON nor an Arrow IPC stream.",
    422: "A field, column or level that does not fit; the body names it.",
    500: "The model's files cannot be read.",
    503: "The registry cannot be asked.",
}
Json = dict[str, Any]


def document(champions: Sequence[Champion], options: Options) -> Json:
    """OpenAPI of a server with these models."""
    bodies = list({champion.reader.body for champion in champions})
    schemas, components = msgspec.json.schema_components(
        [*ANSWERS, *bodies, levels_type(options)], ref_template="#/components/schemas/{name}"
    )
    answers = dict(zip(ANSWERS, schemas, strict=False))
    asked: Json = {"anyOf": list(schemas[len(ANSWERS) : -1])} if bodies else {"type": "object"}
    secured: Json = {"security": [{"token": []}]} if options.token else {}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "foretell",
            "version": version("foretell"),
            "description": "How long it will take, before it runs, with an honest interval.",
        },
        "paths": {
            "/v1/predict/{target}": {
                "post": _predict(asked, schemas[-1], answers, [held.target for held in champions]) | secured
            },
            "/v1/targets": {
                "get": _get("Targets that are answered for", answers[messages.Targets]) | secured
            },
            "/v1/models": {
                "get": _get("Registered model versions", answers[messages.Models], 500, 503) | secured
            },
            "/metrics": {"get": _get("Prometheus metrics", {"type": "string"}, form="text/plain") | secured},
            "/healthz": {"get": _get("Whether the process answers", answers[messages.Health])},
            "/readyz": {"get": _readyz(answers[messages.Readiness])},
            "/openapi.json": {"get": _get("This document", {"type": "object"})},
            "/docs": {"get": _get("This document for people", {"type": "string"}, form="text/html")},
        },
        "components": {
            "schemas": components,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}} if options.token else {},
        },
    }


def _predict(asked: Json, levels: Json, answers: dict[Any, Json], targets: list[str]) -> Json:
    return {
        "summary": "Quantiles for rows",
        "operationId": "predict",
        "parameters": [
            {
                "name": "target",
                "in": "path",
                "required": True,
                "description": "see /v1/targets",
                "schema": {"type": "string", "minLength": 1},
                "examples": {target: {"value": target} for target in targets},
            },
            {
                "name": "levels",
                "in": "query",
                "description": "increasing quantile levels, separated by commas, unless the body has them",
                "style": "form",
                "explode": False,
                "schema": levels,
            },
        ],
        "requestBody": {
            "required": True,
            "content": {JSON: {"schema": asked}, ARROW: {"schema": _binary()}},
        },
        "responses": {
            "200": {
                "description": "Quantiles per row, in their order.",
                "content": {JSON: {"schema": answers[messages.Answer]}, ARROW: {"schema": _binary()}},
            },
            **_refused(*REFUSED),
        },
    }


def _get(summary: str, schema: Json, *refused: int, form: str = JSON) -> Json:
    return {
        "summary": summary,
        "responses": {
            "200": {"description": summary, "content": {form: {"schema": schema}}},
            **_refused(401, 405, *refused),
        },
    }


def _readyz(schema: Json) -> Json:
    content = {JSON: {"schema": schema}}
    return {
        "summary": "Whether predictions can be answered",
        "responses": {
            "200": {"description": "At least one target is answered for.", "content": content},
            "503": {"description": "None is.", "content": content},
            **_refused(405),
        },
    }


def _refused(*statuses: int) -> Json:
    content = {JSON: {"schema": {"$ref": f"#/components/schemas/{Refusal.__name__}"}}}
    return {str(status): {"description": REFUSED[status], "content": content} for status in statuses}


def _binary() -> Json:
    return {"type": "string", "contentMediaType": ARROW}
