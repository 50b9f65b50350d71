from flask.testing import FlaskClient

from tests.inbox import Inbox


def test_a_reader_subscribes_from_form_to_sentence(client: FlaskClient, inbox: Inbox) -> None:
    asked = client.post("/subscribe", json={"email": "ada@example.org"})
    assert asked.status_code == 202, asked.data
    assert asked.json == {"code": "check_email", "message": "Success! Check your email for magic link to sign-in."}
    mail = inbox.newest()
    print(mail.text)
    page = client.get(mail.link)
    assert page.status_code == 200
    done = client.post(mail.link, headers={"Accept": "application/json"})
    print(done.json)
    assert done.status_code == 200
    print(client.get("/session").json)
    assert client.get("/session").json["signed_in"]
