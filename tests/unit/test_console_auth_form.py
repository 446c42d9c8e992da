"""The fields that an authentication spec's JSON Schema becomes, and what is made of what is entered in them."""

from headgate.console.auth_form import AuthForm

_AUTH = {
    "name": "Any",
    "spec": {
        "required": ["grant"],
        "properties": {
            "extra": {"type": "object", "description": "More members."},
            "pairs": {"type": "array", "items": {"type": "object"}},
            "scopes": {"type": "array", "items": {"type": "string"}},
            "grant": {"oneOf": [{"const": "refresh_token", "title": "Refresh token"}, {"const": "password"}]},
            "either": {"anyOf": [{"type": "string"}, {"type": "integer"}]},
            "rate": {"type": "number"},
            "sslMode": {},
        },
    },
}


def test_parameters_of_every_shape_have_a_field_and_come_back_as_they_were() -> None:
    form = AuthForm(_AUTH, {})
    fields = {field.name: field for field in form.fields}
    assert form.fields[0].options == [("refresh_token", "Refresh token"), ("password", "password")]
    assert {name: field.form for name, field in fields.items()} == {
        "grant": "select",
        "extra": "area",
        "pairs": "area",
        "scopes": "area",
        "either": "text",
        "rate": "number",
        "sslMode": "text",
    }
    assert fields["sslMode"].label == "SSL mode"
    assert fields["extra"].help == "More members. As JSON."
    params = {"grant": "password", "extra": {"a": [1]}, "pairs": [{"b": 2}], "scopes": ["c", "d"], "rate": 1.5}
    shown = AuthForm(_AUTH, params).values({})
    assert form.params({f"p.{name}": text for name, text in shown.items()}) == params
    assert form.params({"p.extra": "{not json", "p.grant": "password"})["extra"] == "{not json"
