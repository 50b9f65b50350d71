"""The yardstick of the web: a Flask application that does nothing but answer the same bytes."""

from flask import Flask, Response

ANSWER = (
    b'{"challenge":"0123456789012345678901234567890123456789012","code":"check_email",'
    b'"message":"Success! Check your email for magic link to sign-in."}\n'
)

app = Flask(__name__)


@app.get("/healthz")
def alive() -> str:
    return "ok"


@app.post("/signin")
def sign_in() -> Response:
    return Response(ANSWER, 202, mimetype="application/json")
