"""compose.yaml as it is written, with what stands beside it: what would be open or unbounded shows without a run."""

import os
import re
import stat
import subprocess
from pathlib import Path

import pytest

from make_bridge.settings import load_settings
from support.commands import run_command
from support.manifests import DEPLOY, read_yaml, seconds, unknown_settings

COMPOSE = DEPLOY / "compose"
FILE = read_yaml(COMPOSE / "compose.yaml")
SERVICES = FILE["services"]
EACH = pytest.mark.parametrize("name", sorted(SERVICES))
# Who is not asked by an engine, and why: one ends by itself, in the other's image is no program to ask with.
UNASKED = {"migrate", "collector"}
# Reached from the machine itself, and from nowhere else.
AT_HOME = {"grafana"}
DATA = {"postgres", "standby", "redis", "zookeeper"}
VERSION = re.compile(r"[\w./-]+:v?\d+\.\d+(\.\d+)?(-[a-z]+)?|\S+@sha256:[0-9a-f]{64}")


@pytest.fixture(scope="module")
def nginx():
    return (COMPOSE / "nginx" / "nginx.conf").read_text(encoding="utf-8")


@EACH
def test_every_service_is_closed_in(name):
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert re.fullmatch(r"[1-9][0-9]*:[1-9][0-9]*", service["user"])
    assert not {"privileged", "network_mode", "pid", "ipc", "userns_mode"} & set(service)
    assert not any("docker.sock" in str(volume) for volume in service.get("volumes", ()))


@EACH
def test_every_service_is_bounded_and_comes_back(name):
    limits = SERVICES[name]["deploy"]["resources"]["limits"]
    assert {"cpus", "memory", "pids"} <= set(limits)
    assert SERVICES[name]["restart"] in {"unless-stopped", "on-failure"}
    assert SERVICES[name]["logging"]["options"]["max-size"]
    assert all("size=" in place or place.startswith(("/var/run", "/conf", "/logs"))
               for place in SERVICES[name].get("tmpfs", ()))  # fmt: skip


@EACH
def test_every_image_has_a_version(name):
    image = re.sub(r"\$\{\w+:-(.+)\}", r"\1", SERVICES[name]["image"])
    assert VERSION.fullmatch(image), image


@EACH
def test_every_service_tells_whether_it_is_well(name):
    check = SERVICES[name].get("healthcheck", {})
    # The program's own stands in the Dockerfile.
    assert name == "bridge" or check.get("test") or (name in UNASKED and check == {"disable": True})


@EACH
def test_no_service_has_a_secret_in_its_environment(name):
    for variable, value in SERVICES[name].get("environment", {}).items():
        is_secret = re.search(r"PASSWORD|SECRET|TOKEN|KEY|_URL$", variable) and variable != "MAKE_BRIDGE_PUBLIC_URL"
        assert not is_secret or (variable.endswith("_FILE") and str(value).startswith("/run/secrets/")), variable
    assert unknown_settings(SERVICES[name].get("environment", {})) == set()


@EACH
def test_what_is_waited_for_has_to_be_well(name):
    waited_for = SERVICES[name].get("depends_on", {})
    assert isinstance(waited_for, dict)
    assert {entry["condition"] for entry in waited_for.values()} <= {
        "service_healthy",
        "service_completed_successfully",
    }


def test_nginx_alone_is_reached_from_outside():
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert set(published) == {"nginx"} | AT_HOME
    assert all(port.startswith("127.0.0.1:") for name in AT_HOME for port in published[name])
    assert {name for name, service in SERVICES.items() if "desk" in service["networks"]} == AT_HOME
    assert {name for name, service in SERVICES.items() if "edge" in service["networks"]} == {"nginx"}


def test_databases_stand_on_a_network_that_leads_nowhere():
    assert FILE["networks"]["data"] == {"internal": True}
    assert [name for name in DATA if SERVICES[name]["networks"] != ["data"]] == []
    assert "data" not in SERVICES["nginx"]["networks"]


def test_nginx_is_believed_by_the_network_that_it_shares_with_the_servers():
    (front,) = FILE["networks"]["front"]["ipam"]["config"]
    assert SERVICES["bridge"]["environment"]["MAKE_BRIDGE_TRUSTED_PROXIES"] == front["subnet"]
    assert {name for name, service in SERVICES.items() if "front" in service["networks"]} == {
        "bridge", "nginx", "collector", "prometheus",
    }  # fmt: skip


def test_the_servers_connections_fit_into_the_database():
    settings = load_settings().settings
    each = 3 * settings.database_connections + 6 + 1
    (most,) = re.findall(r"max_connections=(\d+)", SERVICES["postgres"]["command"])
    # While servers are replaced there is one more of them, and the migration.
    assert (SERVICES["bridge"]["deploy"]["replicas"] + 2) * each + 10 <= int(most)


def test_a_server_has_the_time_to_finish_what_it_does():
    bridge = SERVICES["bridge"]
    drain = float(bridge["environment"]["MAKE_BRIDGE_DRAIN_SECONDS"])
    assert seconds(bridge["stop_grace_period"]) >= 2 * drain + 10
    assert bridge["deploy"]["update_config"]["order"] == "start-first"


def test_nginx_and_the_servers_agree_on_sizes_and_patience(nginx):
    settings = load_settings().settings
    assert f"client_max_body_size {settings.hook_body_bytes // 1024**2}m;" in nginx
    (patience,) = re.findall(r"proxy_read_timeout (\d+)s;", nginx)
    assert int(patience) > settings.webhook_response_seconds


def test_nginx_lets_go_of_idle_connections_before_a_server_that_ends_does(nginx, monkeypatch):
    monkeypatch.setenv("MAKE_BRIDGE_TRUSTED_PROXIES", SERVICES["bridge"]["environment"]["MAKE_BRIDGE_TRUSTED_PROXIES"])
    upstream = nginx[nginx.index("upstream bridge") :]
    (idle,) = re.findall(r"keepalive_timeout (\d+)s;", upstream[: upstream.index("}")])
    assert int(idle) + 1 <= load_settings().settings.open_seconds
    monkeypatch.setenv("MAKE_BRIDGE_LAST_CALLS_SECONDS", "9.5")
    assert "keepalive_timeout 8s;" in written("--server", "bridge:8080")


def test_nginx_has_what_the_program_writes_for_it(nginx):
    given = (
        "--server", "bridge:8080", "--resolver", "127.0.0.11", "--listen", "8443", "--plain", "8080",
        "--certificate", "/run/secrets/tls.crt", "--key", "/run/secrets/tls.key",
    )  # fmt: skip
    assert nginx == written(*given), f"make-bridge nginx {' '.join(given)} > deploy/compose/nginx/nginx.conf"


def test_what_could_add_a_line_to_the_configuration_is_refused():
    for server in ("a:1; return 200", "a:1\n}", "a", "a:1 backup"):
        done = run_command(["nginx", "--server", server], os.environ, Path.cwd(), timeout=60)
        assert (done.returncode, done.stdout) == (1, "")
        assert "cannot stand in a configuration of nginx" in done.stderr


def written(*given):
    done = run_command(["nginx", *given], os.environ, Path.cwd(), timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_secret_is_a_file_that_is_used_and_made():
    declared = FILE["secrets"]
    used = {secret for service in SERVICES.values() for secret in service.get("secrets", ())}
    assert set(declared) == used
    assert all(entry == {"file": f"./secrets/{name}"} for name, entry in declared.items())
    script = (COMPOSE / "make-secrets.sh").read_text(encoding="utf-8")
    assert [name for name in declared if name not in script] == []
    assert "/deploy/compose/secrets/" in (DEPLOY.parent / ".gitignore").read_text(encoding="utf-8").splitlines()


@pytest.mark.skipif(os.geteuid() != 0, reason="secrets are given to the users inside the containers: needs root")
def test_secrets_are_made_once_for_the_user_who_reads_each(tmp_path):
    made = make_secrets(tmp_path)
    missing = set(FILE["secrets"]) - set(made) - {"tls.crt", "tls.key"}
    assert missing == set()
    for name, service in SERVICES.items():
        user = int(service["user"].partition(":")[0])
        for secret in set(service.get("secrets", ())) & set(made):
            status = (tmp_path / secret).stat()
            assert stat.S_IMODE(status.st_mode) == 0o400
            # The collector's image has the user of ours.
            assert status.st_uid == user, f"{name} cannot read {secret}"
    assert make_secrets(tmp_path) == made
    assert not any(b"postgresql" in made[name] for name in made if not name.endswith(".toml"))
    password = made["redis.password"].strip()
    assert password not in made["redis.acl"]


def make_secrets(folder):
    subprocess.run([COMPOSE / "make-secrets.sh", folder], check=True, capture_output=True, timeout=60)
    return {path.name: path.read_bytes() for path in folder.iterdir()}
