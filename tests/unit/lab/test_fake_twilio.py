"""The fake Twilio is as strict, as chatty and as stubborn as the real one."""

from __future__ import annotations

import asyncio
import base64
import hmac
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

import aiohttp
import pytest
from aiohttp import web

from coachline_lab.faults import Mode
from coachline_lab.serving import LoopbackServer
from coachline_lab.twilio import NUMBER, PERSON, Account, FakeTwilio, File


@dataclass
class Receiver:
    """A webhook that answers what it is told to, and checks every signature."""

    url: str = ""
    statuses: list[int] = field(default_factory=list)
    forms: list[dict[str, str]] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    secret: str = ""
    algorithm: str = "sha1"
    bad: int = 0

    async def take(self, request: web.Request) -> web.Response:
        form = dict(parse_qsl((await request.read()).decode(), keep_blank_values=True))
        self.forms.append(form)
        self.tokens.append(request.headers["I-Twilio-Idempotency-Token"])
        url = f"{self.url}{request.query_string and '?' + request.query_string}"
        signature = request.headers["X-Twilio-Signature"]
        signed = url + "".join(name + form[name] for name in sorted(form))
        digest = hmac.digest(self.secret.encode(), signed.encode(), self.algorithm)
        self.bad += signature != base64.b64encode(digest).decode()
        return web.Response(status=self.statuses.pop(0) if self.statuses else 204)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    application = web.Application()
    application.router.add_post("/w", receiver.take)
    server = LoopbackServer(application)
    await server.start()
    receiver.url = f"{server.url}/w"
    yield receiver
    assert receiver.bad == 0
    await server.stop()


@pytest.fixture
async def fake(receiver: Receiver) -> AsyncIterator[FakeTwilio]:
    async with FakeTwilio(pause_seconds=0) as fake:
        fake.account.numbers[0].sms_url = receiver.url
        receiver.secret = fake.account.token
        yield fake


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as http:
        yield http


def basic(account: Account, token: str | None = None) -> dict[str, str]:
    pair = f"{account.sid}:{account.token if token is None else token}"
    return {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}


class Api:
    """The API, called without anybody's library."""

    def __init__(self, fake: FakeTwilio, http: aiohttp.ClientSession) -> None:
        self._fake, self._http = fake, http

    async def call(
        self,
        method: str,
        path: str,
        account: Account | None = None,
        fields: Mapping[str, str] | None = None,
    ) -> tuple[int, Any]:
        async with self._http.request(
            method,
            path if path.startswith("http") else self._fake.url + path,
            headers=basic(account or self._fake.account),
            allow_redirects=False,
            params=fields if method == "GET" else None,
            data=fields if method == "POST" else None,
        ) as response:
            return response.status, await response.json(content_type=None)

    async def create(
        self, account: Account | None = None, changed: Mapping[str, str] | None = None, **form: str
    ) -> tuple[int, Any]:
        sid = (account or self._fake.account).sid
        given = {"To": PERSON, "From": NUMBER, "Body": "Hi", **form, **(changed or {})}
        named = {name: value for name, value in given.items() if value}
        return await self.call("POST", f"/2010-04-01/Accounts/{sid}/Messages.json", account, named)


@pytest.fixture
def api(fake: FakeTwilio, http: aiohttp.ClientSession) -> Api:
    return Api(fake, http)


async def test_what_somebody_writes_is_delivered_signed(
    fake: FakeTwilio, receiver: Receiver
) -> None:
    delivery = await fake.say("Grüße 👋", files=[File(b"x")])
    assert delivery.is_taken
    (form,) = receiver.forms
    assert (form["From"], form["To"], form["Body"]) == (PERSON, NUMBER, "Grüße 👋")
    assert form["NumMedia"] == "1"
    assert form["MediaUrl0"].startswith(fake.url)
    assert "OptOutType" not in form


async def test_a_shared_key_signs_by_sha_256(fake: FakeTwilio, receiver: Receiver) -> None:
    fake.account.shared_key = ("webhooks_sharedkey_1", "a-shared-secret")
    receiver.secret, receiver.algorithm = "a-shared-secret", "sha256"
    assert (await fake.say("Hi")).is_taken


@pytest.mark.parametrize(
    ("overrides", "attempts"),
    [("", 1), ("#rc=2&rp=5xx", 3), ("#rc=2&rp=4xx,ct", 1), ("#rc=3&rp=all&ct=2000&rt=8000", 4)],
)
async def test_a_failed_delivery_is_repeated_as_the_address_asks(
    fake: FakeTwilio, receiver: Receiver, overrides: str, attempts: int
) -> None:
    fake.account.numbers[0].sms_url = receiver.url + overrides
    receiver.statuses = [500] * 9
    delivery = await fake.say("Hi")
    assert delivery.statuses == (500,) * attempts
    assert len(set(receiver.tokens)) == 1


async def test_nobody_there_is_tried_once_more(fake: FakeTwilio) -> None:
    fake.account.numbers[0].sms_url = "http://127.0.0.1:9/w"
    assert (await fake.say("Hi")).statuses == (None, None)
    fake.account.numbers[0].sms_url = ""
    assert (await fake.say("Hi")).statuses == ()


async def test_deliveries_are_doubled_and_lost_on_demand(
    fake: FakeTwilio, receiver: Receiver
) -> None:
    fake.inbound.duplicate = 1.0
    await fake.say("Hi")
    assert len({form["MessageSid"] for form in receiver.forms}) == 1
    assert len(receiver.forms) == 2
    fake.inbound.duplicate = 0.0
    fake.inbound.drop_first = 1
    assert (await fake.say("Hi")).statuses == (None, 204)
    again = await fake.redeliver(2)
    assert [delivery.is_taken for delivery in again] == [True, True]


@pytest.mark.parametrize("word", ["STOP", " stopall", "Revoke", "OPTOUT"])
async def test_stop_closes_the_pair_and_still_calls(
    fake: FakeTwilio, receiver: Receiver, api: Api, word: str
) -> None:
    assert (await fake.say(word)).is_taken
    assert "OptOutType" not in receiver.forms[-1]
    status, answer = await api.create()
    assert (status, answer["code"]) == (400, 21610)
    assert (await api.create(To="+15557650002"))[0] == 201
    await fake.say("please stop texting me", person="+15557650002")
    assert (await api.create(To="+15557650002"))[0] == 201
    await fake.say("START")
    assert (await api.create())[0] == 201
    fake.block()
    assert (await api.create())[0] == 400
    fake.unblock()
    assert (await api.create())[0] == 201


async def test_advanced_opt_out_names_the_keyword(fake: FakeTwilio, receiver: Receiver) -> None:
    service = fake.add_service(fake.account, has_advanced_opt_out=True)
    service.inbound_request_url = receiver.url
    for word, keyword in [("STOP", "STOP"), ("YES", "START"), ("INFO", "HELP")]:
        await fake.say(word)
        assert receiver.forms[-1]["OptOutType"] == keyword
        assert receiver.forms[-1]["MessagingServiceSid"] == service.sid
    said = [line.sender for line in fake.ledger.transcript(PERSON)]
    assert said.count("Twilio") == 3
    assert fake.ledger.visible(PERSON) == []


async def test_whatsapp_has_no_keywords_but_a_window_and_buttons(
    fake: FakeTwilio, receiver: Receiver, api: Api
) -> None:
    number, person = f"whatsapp:{NUMBER}", f"whatsapp:{PERSON}"
    account = fake.add_account(numbers=[number])
    account.numbers[0].sms_url = receiver.url
    receiver.secret = account.token
    _, late = await api.create(account, To=person, From=number)
    await fake.settle()
    assert fake.messages[late["sid"]].error_code == 63016
    account.templates["HX1"] = "Hello {{1}}"
    status, sent = await api.create(
        account, To=person, From=number, Body="", ContentSid="HX1", ContentVariables='{"1": "Ada"}'
    )
    assert (status, sent["body"]) == (201, "Hello Ada")
    await fake.say("STOP", person=person, to=number, account=account)
    assert receiver.forms[-1]["ProfileName"] == "Ada"
    _, timely = await api.create(account, To=person, From=number)
    assert timely["error_code"] is None
    await fake.press("yes", "Yes, please", person=person, to=number, account=account)
    assert receiver.forms[-1]["ButtonPayload"] == "yes"


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({"To": ""}, 21604),
        ({"To": "12"}, 21211),
        ({"From": ""}, 21603),
        ({"From": "+15550009999"}, 21606),
        ({"To": f"whatsapp:{PERSON}"}, 21910),
        ({"Body": ""}, 21602),
        ({"Body": "a" * 1601}, 21617),
        ({"From": "", "MessagingServiceSid": "MG1"}, 21701),
        ({"ContentSid": "HX1"}, 20404),
    ],
)
async def test_what_twilio_refuses_is_refused(api: Api, form: dict[str, str], code: int) -> None:
    status, answer = await api.create(changed=form)
    assert 400 <= status < 500
    assert answer["code"] == code


async def test_only_the_owner_with_the_token_gets_in(fake: FakeTwilio, api: Api) -> None:
    other = fake.add_account(numbers=["+15550001111"])
    path = f"/2010-04-01/Accounts/{fake.account.sid}"
    assert (await api.call("GET", f"{path}.json"))[0] == 200
    assert (await api.call("GET", f"{path}.json", other))[0] == 404
    other.sid = "AC-unknown"
    assert (await api.call("GET", f"{path}.json", other))[1]["code"] == 20003
    _, created = await api.create()
    stranger = fake.add_account()
    theirs = f"/2010-04-01/Accounts/{stranger.sid}/Messages/{created['sid']}.json"
    assert (await api.call("GET", theirs, stranger))[0] == 404


async def test_reports_come_in_order_or_not_and_twice(
    fake: FakeTwilio, receiver: Receiver, api: Api
) -> None:
    await api.create(StatusCallback=f"{receiver.url}?reply=1")
    await fake.settle()
    assert [form["MessageStatus"] for form in receiver.forms] == ["sent", "delivered"]
    fake.is_reordered, fake.report_copies = True, 2
    receiver.forms.clear()
    _, created = await api.create(StatusCallback=receiver.url)
    await fake.settle()
    said = [form["MessageStatus"] for form in receiver.forms]
    assert said == ["delivered", "delivered", "sent", "sent"]
    await fake.report(created["sid"], "failed", error_code=30005)
    assert receiver.forms[-1]["ErrorCode"] == "30005"


async def test_the_list_is_newest_first_filtered_and_paged(fake: FakeTwilio, api: Api) -> None:
    fake.progress = ()
    for number in range(5):
        await api.create(Body=f"m{number}")
    await api.create(Body="other", To="+15557650002")
    await fake.say("in")
    path = f"/2010-04-01/Accounts/{fake.account.sid}/Messages.json"
    _, page = await api.call("GET", path, None, {"To": PERSON, "PageSize": "3"})
    found = [message["body"] for message in page["messages"]]
    _, rest = await api.call("GET", page["next_page_uri"])
    found += [message["body"] for message in rest["messages"]]
    assert found == [f"m{number}" for number in reversed(range(5))]
    assert rest["next_page_uri"] is None
    _, sent = await api.call("GET", path, None, {"DateSent>": "2020-01-01"})
    assert sent["messages"] == []
    await fake.settle()


async def test_files_are_behind_the_token_and_a_redirect(
    fake: FakeTwilio, api: Api, http: aiohttp.ClientSession
) -> None:
    delivery = await fake.say("", files=[File(b"a picture", "image/png")])
    url = delivery.fields["MediaUrl0"]
    async with http.get(url, allow_redirects=False) as response:
        assert response.status == 401
    async with http.get(url, headers=basic(fake.account), allow_redirects=False) as response:
        assert response.status == 307
        place = response.headers["Location"]
    async with http.get(place, headers=basic(fake.account)) as response:
        assert response.status == 400
    async with http.get(place) as response:
        assert (await response.read(), response.content_type) == (b"a picture", "image/png")
    assert (await api.call("GET", url.replace("/ME", "/MX")))[0] == 404


@pytest.mark.parametrize(
    ("mode", "status", "is_taken"),
    [
        (Mode.RATE_LIMITED, 429, False),
        (Mode.SERVER_ERROR, 500, False),
        (Mode.SERVER_ERROR_AFTER_ACCEPT, 500, True),
        (Mode.CUT_BEFORE_ACCEPT, None, False),
        (Mode.CUT_AFTER_ACCEPT, None, True),
        (Mode.SLOW, 201, True),
    ],
)
async def test_faults_happen_when_asked_for(
    fake: FakeTwilio, api: Api, mode: Mode, status: int | None, is_taken: bool
) -> None:
    fake.faults.next(1, mode, method="Messages.create", seconds=0.01)
    try:
        answered: int | None = (await api.create())[0]
    except aiohttp.ClientError:
        answered = None
    assert answered == status
    assert bool(fake.ledger.accepted) is is_taken
    (call,) = fake.ledger.calls("Messages.create")
    assert (call.fault, call.outcome == "ok") == (mode, is_taken)


async def test_an_answer_is_waited_for(fake: FakeTwilio, api: Api) -> None:
    place = fake.ledger.place
    waiting = asyncio.create_task(fake.wait_for_answer(after=place))
    await api.create(Body="re: Hi")
    assert (await waiting).text == "re: Hi"
