"""The web configuration file: TLS, client certificates, passwords, headers, rates, and what happens when it changes."""

from __future__ import annotations

import socket
import ssl
import statistics
import subprocess
import sys
import time
from pathlib import Path

import bcrypt
import pytest
import requests
from nightdesk_exporter.errors import ExporterError, WebConfigError
from nightdesk_exporter.server import ExporterServer
from nightdesk_exporter.web import passwords
from prometheus_client import CollectorRegistry

from tests.exporter.certificates import Authority
from tests.exporter.conftest import HEALTH, SECONDS, TLS, USERS, Serve, get


def test_tls_is_spoken_with_the_certificate_and_not_below_1_2(serve: Serve, authority: Authority) -> None:
    server = serve(TLS + "}\n")
    assert server.url.startswith("https://127.0.0.1:")
    assert requests.get(f"{server.url}/metrics", verify=str(authority.cert), timeout=SECONDS).ok
    with pytest.raises(requests.exceptions.SSLError):
        requests.get(f"{server.url}/metrics", timeout=SECONDS)
    with pytest.raises(requests.ConnectionError):
        requests.get(server.url.replace("https", "http"), timeout=SECONDS)


@pytest.mark.parametrize(("key", "spoken"), [("max_version: TLS12", "TLSv1.2"), ("min_version: TLS13", "TLSv1.3")])
def test_versions_are_bounded(serve: Serve, authority: Authority, key: str, spoken: str) -> None:
    assert _handshake(serve(f"{TLS}, {key}}}\n"), authority)[0] == spoken


def test_ciphers_are_chosen_by_their_names_in_go(serve: Serve, authority: Authority) -> None:
    suites = "cipher_suites: [TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256]"
    server = serve(f"{TLS}, max_version: TLS12, curve_preferences: [CurveP384], {suites}}}\n")
    assert _handshake(server, authority) == ("TLSv1.2", "ECDHE-ECDSA-CHACHA20-POLY1305")


def _handshake(server: ExporterServer, authority: Authority) -> tuple[str | None, str]:
    context = ssl.create_default_context(cafile=str(authority.cert))
    host, _, port = server.url.removeprefix("https://").partition(":")
    with (
        socket.create_connection((host, int(port)), timeout=SECONDS) as plain,
        context.wrap_socket(plain, server_hostname=host) as client,
    ):
        cipher = client.cipher()
        assert cipher is not None
        return client.version(), cipher[0]


def test_certificate_and_key_may_stand_in_the_file_itself(serve: Serve, authority: Authority, tmp_path: Path) -> None:
    def inline(name: str) -> str:
        return "".join(f"\n    {line}" for line in (tmp_path / name).read_text().splitlines())

    server = serve(f"tls_server_config:\n  cert: |{inline('server.crt')}\n  key: |{inline('server.key')}\n")
    assert requests.get(f"{server.url}/metrics", verify=str(authority.cert), timeout=SECONDS).ok


CLIENT_TLS = TLS + ", client_ca_file: authority.pem, client_auth_type: "


def test_a_client_needs_a_certificate_of_the_authority(serve: Serve, authority: Authority, tmp_path: Path) -> None:
    server = serve(CLIENT_TLS + "RequireAndVerifyClientCert}\n")
    stranger = Authority(tmp_path, "stranger").issue("other")
    ours = authority.issue("client")
    assert get(server, authority, cert=(ours.cert, ours.key)).ok
    for cert in (None, (stranger.cert, stranger.key)):
        with pytest.raises(requests.ConnectionError):
            get(server, authority, cert=cert)


def test_a_certificate_that_is_only_wished_for_must_be_good_where_given(
    serve: Serve, authority: Authority, tmp_path: Path
) -> None:
    server = serve(CLIENT_TLS + "VerifyClientCertIfGiven}\n")
    stranger = Authority(tmp_path, "stranger").issue("other")
    assert get(server, authority).ok
    with pytest.raises(requests.ConnectionError):
        get(server, authority, cert=(stranger.cert, stranger.key))


def test_only_named_clients_are_let_in(serve: Serve, authority: Authority) -> None:
    server = serve(CLIENT_TLS + "RequireAndVerifyClientCert, client_allowed_sans: [prometheus.example]}\n")
    known, other = authority.issue("known", dns="prometheus.example"), authority.issue("other", dns="other.example")
    assert get(server, authority, cert=(known.cert, known.key)).ok
    with pytest.raises(requests.ConnectionError):
        get(server, authority, cert=(other.cert, other.key))


@pytest.mark.parametrize(
    ("given", "status"),
    [
        (None, 401),
        (("prometheus", "correct horse"), 200),
        (("prometheus", "wrong"), 401),
        (("prometheus", ""), 401),
        (("nobody", "correct horse"), 401),
        (("", ""), 401),
        (("prometheus", "x" * 1000), 401),
        (("prometheus", "correct horse\0"), 401),
    ],
)
@pytest.mark.parametrize("path", ["/metrics", "/status", "/nothing"])
def test_what_shows_money_needs_the_password(
    serve: Serve, path: str, given: tuple[str, str] | None, status: int
) -> None:
    server = serve(USERS)
    expected = 404 if (path, status) == ("/nothing", 200) else status
    for _ in range(2):  # hashed, and remembered
        answer = requests.get(server.url + path, auth=given, timeout=SECONDS)
        assert answer.status_code == expected
        assert ("WWW-Authenticate" in answer.headers) == (status == 401)


@pytest.mark.parametrize("header", ["Basic", "Basic !", "Basic eA==", "Bearer x", "Basic /w==", "Basic " + "A" * 8000])
def test_credentials_that_are_none_are_refused(serve: Serve, header: str) -> None:
    answer = requests.get(f"{serve(USERS).url}/metrics", headers={"Authorization": header}, timeout=SECONDS)
    assert answer.status_code == 401


def test_health_is_told_to_everybody_and_its_causes_only_with_the_password(serve: Serve) -> None:
    server = serve(USERS)
    assert requests.get(f"{server.url}/healthz", timeout=SECONDS).json() == {"status": "degraded"}
    assert requests.get(f"{server.url}/readyz", timeout=SECONDS).ok
    told = requests.get(f"{server.url}/healthz", auth=("prometheus", "correct horse"), timeout=SECONDS).json()
    assert [issue["cause"] for issue in told["issues"]] == ["12% are lost"]


def test_a_password_is_hashed_once_whether_right_or_wrong(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[bytes] = []
    original = passwords._matches

    def counted(against: bytes, password: bytes) -> bool:
        hashed.append(password)
        return original(against, password)

    monkeypatch.setattr(passwords, "_matches", counted)
    server = serve(USERS)
    with requests.Session() as session:
        for _ in range(40):
            for word in ("correct horse", "wrong"):
                session.get(f"{server.url}/metrics", auth=("prometheus", word), timeout=SECONDS)
    assert len(hashed) == 2


def test_an_unknown_name_takes_as_long_as_a_wrong_password(serve: Serve) -> None:
    # A cost that takes some 50 ms, far above what else a request takes.
    server = serve(f"basic_auth_users: {{prometheus: {bcrypt.hashpw(b'x', bcrypt.gensalt(10)).decode()!r}}}\n")
    took: dict[str, list[float]] = {"prometheus": [], "nobody": []}
    for number in range(5):
        for name, seconds in took.items():
            begun = time.perf_counter()
            requests.get(f"{server.url}/metrics", auth=(name, f"guess {number}"), timeout=SECONDS)
            seconds.append(time.perf_counter() - begun)
    known, unknown = (statistics.median(seconds) for seconds in took.values())
    assert 0.4 < unknown / known < 2.5


def test_headers_of_the_file_are_in_every_answer(serve: Serve) -> None:
    server = serve("http_server_config: {http2: false, headers: {X-Frame-Options: deny, X-XSS-Protection: '0'}}\n")
    for path in ("/metrics", "/nothing"):
        answer = requests.get(server.url + path, timeout=SECONDS)
        assert (answer.headers["X-Frame-Options"], answer.headers["X-XSS-Protection"]) == ("deny", "0")


def test_the_rate_of_the_file_bounds_each_connection_by_itself(serve: Serve) -> None:
    server = serve("rate_limit: {interval: 1h, burst: 3}\n")
    for _ in range(3):
        with requests.Session() as session:
            codes = [session.get(f"{server.url}/healthz", timeout=SECONDS).status_code for _ in range(5)]
        assert codes == [200, 200, 200, 429, 429]


def test_a_scraper_s_pace_is_served_whatever_the_rate_of_the_file(serve: Serve) -> None:
    server = serve("rate_limit: {interval: 1h, burst: 1}\n")
    with requests.Session() as session:
        for _ in range(3):
            assert session.get(f"{server.url}/metrics", timeout=SECONDS).ok
            time.sleep(1.0)


def test_who_is_known_is_outside_the_rate_and_who_guesses_is_not(serve: Serve) -> None:
    server = serve(f"{USERS}rate_limit: {{interval: 1h, burst: 3}}\n")
    with requests.Session() as known, requests.Session() as guessing:
        for _ in range(10):
            assert known.get(f"{server.url}/metrics", auth=("prometheus", "correct horse"), timeout=SECONDS).ok
        ask = [guessing.get(f"{server.url}/metrics", auth=("prometheus", f"{n}"), timeout=SECONDS) for n in range(5)]
    assert [answer.status_code for answer in ask] == [401, 401, 401, 429, 429]


def test_who_has_a_certificate_that_everybody_needs_is_outside_the_rate(serve: Serve, authority: Authority) -> None:
    server = serve(f"{CLIENT_TLS}RequireAndVerifyClientCert}}\nrate_limit: {{interval: 1h, burst: 3}}\n")
    ours = authority.issue("client")
    files, verify = (str(ours.cert), str(ours.key)), str(authority.cert)
    with requests.Session() as session:
        for _ in range(10):
            assert session.get(f"{server.url}/metrics", cert=files, verify=verify, timeout=SECONDS).ok


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("tls_sever_config: {}", ["tls_sever_config: is not a key that exists here"]),
        (TLS + ", cert_fle: x}", ["tls_server_config.cert_fle: is not a key that exists here"]),
        (
            "tls_server_config: {cert_file: server.crt}",
            ["tls_server_config.key_file: is missing: TLS needs it, or key"],
        ),
        (
            "tls_server_config: {cert_file: none.crt, key_file: server.key}",
            ["tls_server_config.cert_file: {folder}/none.crt cannot be read (No such file or directory)"],
        ),
        (
            "tls_server_config: {cert_file: server.crt, key_file: other.key}",
            ["tls_server_config.cert_file: the certificate and its key cannot be used (KEY_VALUES_MISMATCH)"],
        ),
        (TLS + ", min_version: TLS10}", ["tls_server_config.min_version: must be one of TLS12, TLS13"]),
        (TLS + ", min_version: TLS13, max_version: TLS12}", ["tls_server_config.max_version: is below min_version"]),
        (TLS + ", cipher_suites: [RC4]}", ["tls_server_config.cipher_suites: unknown: RC4"]),
        (
            TLS + ", client_auth_type: RequestClientCert}",
            [
                "tls_server_config.client_auth_type: RequestClientCert checks no certificate; "
                "use RequireAndVerifyClientCert"
            ],
        ),
        (
            TLS + ", client_auth_type: RequireAndVerifyClientCert}",
            ["tls_server_config.client_ca_file: is missing: RequireAndVerifyClientCert needs it, or client_ca"],
        ),
        (
            TLS + ", client_ca_file: authority.pem}",
            ["tls_server_config.client_auth_type: is missing: client_ca_file alone asks nobody for a certificate"],
        ),
        (
            TLS + ", client_allowed_sans: [x]}",
            ["tls_server_config.client_allowed_sans: needs client_auth_type: RequireAndVerifyClientCert"],
        ),
        (
            "basic_auth_users: {a: secret}",
            ["basic_auth_users.a: is no bcrypt hash (htpasswd -nBC 10 '' makes one)"],
        ),
        (
            "http_server_config: {headers: {Server: x}}",
            ["http_server_config.headers.Server: is not a key that exists here"],
        ),
        (
            "http_server_config: {headers: {X-Frame-Options: allow}}",
            ["http_server_config.headers.X-Frame-Options: must be deny or sameorigin"],
        ),
        ("http_server_config: {http2: 7}", ["http_server_config.http2: must be true or false"]),
        (
            "rate_limit: {interval: often, burst: 0}",
            ["rate_limit.interval: must be a duration such as 100ms or 1s; 0 is no limit"],
        ),
        ("rate_limit: {burst: 5}", ["rate_limit.interval: is missing"]),
        ("rate_limit: {interval: 1s}", ["rate_limit.burst: must be at least 1: otherwise nobody is answered"]),
        ("rate_limit: {interval: 1s, burst: true}", ["rate_limit.burst: must be a whole number"]),
        ("tls_server_config: {cipher_suites: RC4}", ["tls_server_config.cipher_suites: must be a list of texts"]),
        (
            f"basic_auth_users: {{'a:b': $2b$04${'a' * 53}}}",
            ["basic_auth_users.a:b: cannot be a user's name: it is empty or holds a colon"],
        ),
        ("basic_auth_users: [a]", ["basic_auth_users: must hold keys and values"]),
        (
            'http_server_config: {headers: {X-XSS-Protection: "a\\nb"}}',
            ["http_server_config.headers.X-XSS-Protection: must be one line of ASCII"],
        ),
        (
            "tls_server_config: {cert_file: }\nx: 1",
            [
                "tls_server_config.cert_file: is missing: TLS needs it, or cert",
                "tls_server_config.key_file: is missing: TLS needs it, or key",
                "x: is not a key that exists here",
            ],
        ),
        ("basic_auth_users: {a: x, a: y}", ["a: is there twice (line 1)"]),
        ("a: b: c", ["is not YAML: mapping values are not allowed here (line 1)"]),
        ("- a", ["must hold keys and values at its top level"]),
        ("rate_limit: 5\nx: 1", ["x: is not a key that exists here", "rate_limit: must hold keys and values"]),
    ],
)
def test_what_is_wrong_in_the_file_is_an_error_at_once_that_names_file_and_key(
    serve: Serve, authority: Authority, tmp_path: Path, text: str, problems: list[str]
) -> None:
    authority.issue("other")
    with pytest.raises(WebConfigError) as raised:
        serve(text)
    assert sorted(raised.value.problems) == sorted(problem.replace("{folder}", str(tmp_path)) for problem in problems)
    assert str(raised.value).startswith(f"{tmp_path / 'web.yml'} cannot be used:\n  ")
    assert isinstance(raised.value, ExporterError)


def test_a_file_that_is_not_there_is_an_error_that_names_it(tmp_path: Path) -> None:
    file = tmp_path / "none.yml"
    with pytest.raises(WebConfigError, match=f"{file} cannot be used:\n  cannot be read"):
        ExporterServer(
            CollectorRegistry(), host="127.0.0.1", port=0, health=lambda: HEALTH, status=dict, web_config_file=file
        )


def test_without_a_web_configuration_file_neither_yaml_nor_bcrypt_is_loaded() -> None:
    code = "import sys, nightdesk_exporter.server; print({'yaml', 'bcrypt'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
