"""The manifests of the chart: fit for the API of each Kubernetes release that is supported, and closed where possible.

They were rendered by Helm (`tools/manifests.sh`); that they are what the chart makes now is held by its digest, and
where there is a helm on the machine by rendering them again.
"""

import copy
import hashlib
import json
import shutil
import subprocess
from ipaddress import ip_address, ip_network
from pathlib import Path

import jsonschema
import kubernetes_validate
import pytest

from make_bridge.kernel.roles import ALL_ROLES
from make_bridge.platform.egress.addresses import is_public
from make_bridge.platform.observability.metrics import Metrics
from make_bridge.settings import load_settings
from support.manifests import DEPLOY, read_all, read_yaml, unknown_settings

CHART = DEPLOY / "chart" / "make-bridge"
PLAIN = DEPLOY / "kubernetes"
ALL = read_all(PLAIN / "make-bridge.yaml")
APART = read_all(PLAIN / "services-apart.yaml")
KEDA = read_all(PLAIN / "keda.yaml")
RELEASES = ("1.33", "1.34", "1.35", "1.36", "1.37")
PODS = {
    document["metadata"]["name"]: document for document in (*ALL, *APART) if document["kind"] in {"Deployment", "Job"}
}
SERVER = "make-bridge-server"
SERVICES = {name for name in PODS if name not in {SERVER, "make-bridge-migrate"}}
EACH_POD = pytest.mark.parametrize("name", sorted(PODS))
# What a call of a scenario must never reach: the addresses at which clouds tell secrets, and what stands beside us.
INSIDE = (
    "169.254.169.254", "169.254.170.2", "100.100.100.200", "192.0.0.192", "10.0.0.1", "10.96.0.1", "172.17.0.1",
    "192.168.1.1", "127.0.0.1", "100.64.0.1", "fd00:ec2::254", "fe80::1", "::1",
)  # fmt: skip


def some(kind, documents):
    return [document for document in documents if document["kind"] == kind]


def one(kind, documents=ALL):
    (document,) = some(kind, documents)
    return document


def pod_of(name):
    return PODS[name]["spec"]["template"]["spec"]


@pytest.mark.parametrize("release", RELEASES)
def test_every_manifest_fits_the_schema_of_the_api(release):
    for document in (*ALL, *APART):
        kubernetes_validate.validate(document, release, strict=True)


def test_a_misspelt_field_would_be_found():
    document = copy.deepcopy(one("Deployment"))
    document["spec"]["template"]["spec"]["automountServiceAccountTokn"] = False
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(document, RELEASES[0], strict=True)


def test_the_kinds_are_those_that_an_installation_takes():
    assert sorted(document["kind"] for document in ALL) == [
        "ConfigMap", "Deployment", "HorizontalPodAutoscaler", "Ingress", "Job", "NetworkPolicy", "NetworkPolicy",
        "NetworkPolicy", "NetworkPolicy", "PodDisruptionBudget", "Service", "ServiceAccount",
    ]  # fmt: skip


@EACH_POD
def test_every_pod_meets_pod_security_restricted(name):
    pod = pod_of(name)
    security = pod["securityContext"]
    assert security["runAsNonRoot"] is True
    assert security["runAsUser"] == security["runAsGroup"] == security["fsGroup"] == 10001
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not {"hostNetwork", "hostPID", "hostIPC", "initContainers"} & set(pod)
    assert {next(iter(set(volume) - {"name"})) for volume in pod["volumes"]} <= {"secret", "emptyDir"}
    for container in pod["containers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
        }  # fmt: skip
        assert not any("hostPort" in port for port in container.get("ports", ()))


@EACH_POD
def test_no_pod_has_a_token_of_the_cluster_or_settings_made_of_services(name):
    pod = pod_of(name)
    assert pod["automountServiceAccountToken"] is False
    # A service called make-bridge would set MAKE_BRIDGE_PORT to an address, and the program would not start.
    assert pod["enableServiceLinks"] is False


@EACH_POD
def test_secrets_are_files_that_this_user_alone_reads(name):
    pod = pod_of(name)
    (secret,) = [volume["secret"] for volume in pod["volumes"] if "secret" in volume]
    assert secret["defaultMode"] == 0o400
    for container in pod["containers"]:
        assert not any("secretRef" in source for source in container.get("envFrom", ()))
        assert not any("secretKeyRef" in entry.get("valueFrom", {}) for entry in container.get("env", ()))
    # The owner's password is the migration's alone.
    assert secret["secretName"] == ("make-bridge-migrate" if name == "make-bridge-migrate" else "make-bridge")


@EACH_POD
def test_every_container_is_bounded_in_memory_and_takes_an_image_with_a_version(name):
    for container in pod_of(name)["containers"]:
        assert {"cpu", "memory"} <= set(container["resources"]["requests"])
        assert "memory" in container["resources"]["limits"]
        # Throttled event loops miss probes.
        assert "cpu" not in container["resources"]["limits"]
        assert container["image"].partition(":")[2] not in {"", "latest"}
    assert next(volume for volume in pod_of(name)["volumes"] if "emptyDir" in volume)["emptyDir"]["sizeLimit"]


def test_the_program_knows_every_setting_that_it_is_given():
    names = set(one("ConfigMap")["data"])
    for name in PODS:
        names |= {entry["name"] for container in pod_of(name)["containers"] for entry in container.get("env", ())}
    assert unknown_settings(names) == set()
    assert len(names) > 8


def test_the_settings_as_given_are_settings(monkeypatch):
    for name, value in one("ConfigMap")["data"].items():
        if name != "MAKE_BRIDGE_CONFIG":
            monkeypatch.setenv(name, value)
    settings = load_settings().settings
    assert (settings.public_url, settings.trusted_proxies) == ("https://bridge.example.com", ("10.42.0.0/16",))
    assert settings.is_public


def test_probes_mean_what_they_ask():
    (container,) = pod_of(SERVER)["containers"]
    paths = {kind: container[f"{kind}Probe"]["httpGet"]["path"] for kind in ("startup", "liveness", "readiness")}
    assert paths == {"startup": "/live", "liveness": "/live", "readiness": "/ready"}
    assert all(container[f"{kind}Probe"]["timeoutSeconds"] > 1 for kind in paths)
    startup, liveness = container["startupProbe"], container["livenessProbe"]
    assert startup["periodSeconds"] * startup["failureThreshold"] > load_settings().settings.database_start_seconds
    assert liveness["periodSeconds"] * liveness["failureThreshold"] >= 60
    assert container["readinessProbe"]["failureThreshold"] > 1


def test_a_pod_has_the_time_to_be_forgotten_and_to_finish():
    pod = pod_of(SERVER)
    waits = pod["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    drain = float(one("ConfigMap")["data"]["MAKE_BRIDGE_DRAIN_SECONDS"])
    assert waits >= 5
    assert pod["terminationGracePeriodSeconds"] >= waits + 2 * drain + 10
    rolling = one("Deployment")["spec"]["strategy"]["rollingUpdate"]
    assert rolling == {"maxSurge": 1, "maxUnavailable": 0}


def test_the_number_of_pods_is_the_autoscaler_s_alone():
    assert "replicas" not in one("Deployment")["spec"]
    scaler = one("HorizontalPodAutoscaler")["spec"]
    assert scaler["minReplicas"] >= 3
    assert {metric["type"] for metric in scaler["metrics"]} == {"Resource", "External"}
    assert scaler["metrics"][0]["resource"]["name"] == "cpu"
    assert scaler["behavior"]["scaleDown"]["stabilizationWindowSeconds"] >= 300


def test_what_is_scaled_by_is_a_metric_that_the_program_has():
    metrics = Metrics()
    metrics.queue.oldest.labels("default").set(1.0)
    assert b'queue_oldest_seconds{class="default"} 1.0' in metrics.render()
    (rule,) = read_yaml(PLAIN / "prometheus-adapter-rule.yaml")["rules"]["external"]
    external = one("HorizontalPodAutoscaler")["spec"]["metrics"][1]["external"]
    assert rule["seriesQuery"].startswith("queue_oldest_seconds{")
    assert rule["name"]["as"] == external["metric"]["name"]
    assert external["metric"]["selector"] == {"matchLabels": {"class": "default"}}
    trigger = one("ScaledObject", KEDA)["spec"]["triggers"][1]
    assert trigger["metadata"]["query"].startswith("max(queue_oldest_seconds{")


def test_keda_scales_what_the_autoscaler_would():
    plain, keda = one("HorizontalPodAutoscaler")["spec"], one("ScaledObject", KEDA)["spec"]
    assert keda["scaleTargetRef"] == plain["scaleTargetRef"]
    assert (keda["minReplicaCount"], keda["maxReplicaCount"]) == (plain["minReplicas"], plain["maxReplicas"])
    assert keda["advanced"]["horizontalPodAutoscalerConfig"]["behavior"] == plain["behavior"]


@pytest.mark.parametrize(
    ("documents", "values"),
    [(ALL, CHART / "values.yaml"), (APART, PLAIN / "apart.values.yaml")],
    ids=["together", "apart"],
)
def test_as_many_pods_as_there_may_be_fit_into_the_database(documents, values):
    each = 3 * int(one("ConfigMap", documents)["data"]["MAKE_BRIDGE_DATABASE_CONNECTIONS"]) + 7
    # One more of each kind while they are replaced, and a migration.
    most = [scaler["spec"]["maxReplicas"] + 1 for scaler in some("HorizontalPodAutoscaler", documents)]
    assert (sum(most) + 1) * each + 10 <= read_yaml(values)["autoscaling"]["databaseMaxConnections"]


def test_services_apart_are_pods_of_their_own():
    roles = {}
    for deployment in some("Deployment", APART):
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        given = {entry["name"]: entry for entry in container["env"]}
        roles[deployment["metadata"]["name"]] = given["MAKE_BRIDGE_ROLES"]["value"]
        # Each says where the others reach it.
        assert given["MAKE_BRIDGE_ADVERTISE_URL"]["value"] == "http://$(POD_IP):8080"
        assert given["POD_IP"]["valueFrom"] == {"fieldRef": {"fieldPath": "status.podIP"}}
    assert roles == {f"make-bridge-{role}": role for role in ALL_ROLES}
    assert "MAKE_BRIDGE_ROLES" not in {entry["name"] for entry in pod_of(SERVER)["containers"][0]["env"]}


@pytest.mark.parametrize("kind", ["HorizontalPodAutoscaler", "PodDisruptionBudget"])
def test_each_kind_of_pods_has_its_own(kind):
    assert {document["metadata"]["name"] for document in some(kind, APART)} == SERVICES


def test_only_those_that_carry_out_runs_grow_with_the_queue():
    by_queue = {
        scaler["metadata"]["name"]
        for scaler in some("HorizontalPodAutoscaler", APART)
        if any(metric["type"] == "External" for metric in scaler["spec"]["metrics"])
    }
    assert by_queue == {"make-bridge-worker"}


def test_the_world_calls_gateways_alone_and_servers_call_each_other():
    entrance = {"app.kubernetes.io/component": "gateway"}
    assert entrance.items() <= one("Service", APART)["spec"]["selector"].items()
    policies = {document["metadata"]["name"]: document["spec"] for document in some("NetworkPolicy", APART)}
    assert entrance.items() <= policies["make-bridge-entrance"]["podSelector"]["matchLabels"].items()
    servers = policies["make-bridge-servers"]
    each_other = {"podSelector": {"matchLabels": servers["podSelector"]["matchLabels"]}}
    (inward,) = servers["ingress"]
    assert each_other in inward["from"]
    assert any(rule["to"] == [each_other] for rule in servers["egress"])
    outside = [peer for peer in inward["from"] if peer != each_other]
    assert outside == read_yaml(CHART / "values.yaml")["networkPolicy"]["watchers"]
    for name in SERVICES:
        labels = PODS[name]["spec"]["template"]["metadata"]["labels"]
        assert servers["podSelector"]["matchLabels"].items() <= labels.items()


def test_selectors_choose_the_servers_and_nothing_else():
    server = one("Deployment")["spec"]["template"]["metadata"]["labels"]
    migration = one("Job")["spec"]["template"]["metadata"]["labels"]
    for selector in (
        one("Deployment")["spec"]["selector"]["matchLabels"],
        one("Service")["spec"]["selector"],
        one("PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
    ):
        assert selector.items() <= server.items()
        assert not selector.items() <= migration.items()
    for constraint in pod_of(SERVER)["topologySpreadConstraints"]:
        assert constraint["labelSelector"]["matchLabels"].items() <= server.items()
    assert {constraint["topologyKey"] for constraint in pod_of(SERVER)["topologySpreadConstraints"]} == {
        "topology.kubernetes.io/zone", "kubernetes.io/hostname",
    }  # fmt: skip


def test_nodes_can_be_emptied_one_pod_at_a_time():
    assert one("PodDisruptionBudget")["spec"]["maxUnavailable"] == 1


def test_nothing_goes_in_or_out_that_is_not_named():
    policies = {
        document["metadata"]["name"]: document["spec"] for document in ALL if document["kind"] == "NetworkPolicy"
    }
    nothing = policies["make-bridge-nothing"]
    assert nothing["policyTypes"] == ["Ingress", "Egress"]
    assert not {"ingress", "egress"} & set(nothing)
    for name in PODS:
        labels = PODS[name]["spec"]["template"]["metadata"]["labels"]
        assert nothing["podSelector"]["matchLabels"].items() <= labels.items()
    servers = policies["make-bridge-servers"]
    assert all(entry["from"] and entry["ports"] for entry in servers["ingress"])
    assert not servers["podSelector"]["matchLabels"].items() <= PODS["make-bridge-migrate"]["spec"]["template"][
        "metadata"]["labels"].items()  # fmt: skip
    for rule in (*servers["egress"], *policies["make-bridge-databases"]["egress"]):
        assert rule["to"]
        assert rule["ports"]


@pytest.mark.attack("E21", "E35")
@pytest.mark.parametrize("address", INSIDE)
def test_the_internet_of_scenarios_has_no_private_address(address):
    blocks = [
        peer["ipBlock"]
        for document in ALL
        if document["kind"] == "NetworkPolicy"
        for rule in document["spec"].get("egress", ())
        for peer in rule["to"]
        if "ipBlock" in peer
    ]
    assert len(blocks) == 2
    found = ip_address(address)
    assert not is_public(found)
    for block in blocks:
        if found.version == ip_network(block["cidr"]).version:
            assert any(found in ip_network(network) for network in block["except"])
    for block in blocks:
        # The API takes only what lies within.
        outer = ip_network(block["cidr"])
        assert all(ip_network(network).subnet_of(outer) for network in block["except"])  # type: ignore[arg-type]


def test_the_world_reaches_no_probe_and_no_counter():
    assert one("Service")["spec"]["type"] == "ClusterIP"
    (rule,) = one("Ingress")["spec"]["rules"]
    paths = [path["path"] for path in rule["http"]["paths"]]
    assert "/" not in paths
    assert not [path for path in paths if path.startswith(("/live", "/ready", "/metrics", "/health", "/internal"))]
    assert {"/portal", "/api", "/hook", "/flow", "/oauth", "/console"} <= set(paths)
    assert one("Ingress")["spec"]["tls"][0]["hosts"] == [rule["host"]]


def test_the_migration_comes_first_and_alone_has_the_owner_s_password():
    job = one("Job")
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    assert job["spec"]["template"]["spec"]["restartPolicy"] == "Never"
    assert {"activeDeadlineSeconds", "backoffLimit", "ttlSecondsAfterFinished"} <= set(job["spec"])
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert container["args"] == ["migrate"]
    # Before the first installation there is no account and no ConfigMap of the chart yet.
    assert "serviceAccountName" not in job["spec"]["template"]["spec"]
    assert "envFrom" not in container


def test_the_values_fit_their_own_schema():
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    values = read_yaml(CHART / "values.yaml")
    jsonschema.validate(values, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(values | {"pod": 3}, schema)


def test_the_manifests_were_rendered_from_the_chart_as_it_is():
    root = DEPLOY.parent
    files = sorted(
        str(path.relative_to(root)) for path in (*CHART.rglob("*"), *PLAIN.glob("*values.yaml")) if path.is_file()
    )
    lines = "".join(f"{hashlib.sha256((root / file).read_bytes()).hexdigest()}  {file}\n" for file in files)
    digest = hashlib.sha256(lines.encode()).hexdigest()
    for name in ("make-bridge.yaml", "services-apart.yaml", "keda.yaml"):
        said = (PLAIN / name).read_text(encoding="utf-8").splitlines()[1]
        assert said == f"# chart: {digest}", "run tools/manifests.sh"


@pytest.mark.skipif(shutil.which("helm") is None, reason="renders the chart again: there is no helm on this machine")
@pytest.mark.parametrize(("more", "file"), [
    ((), "make-bridge.yaml"),
    (("--values", PLAIN / "apart.values.yaml"), "services-apart.yaml"),
    (("--set", "autoscaling.queueAge.by=keda", "--show-only", "templates/scaledobject.yaml"), "keda.yaml"),
], ids=["plain", "apart", "keda"])  # fmt: skip
def test_helm_renders_what_is_written_down(more, file, tmp_path):
    command: list[str | Path] = ["helm", "template", "make-bridge", CHART, "--namespace", "make-bridge"]
    command += ["--values", PLAIN / "values.yaml"]
    done = subprocess.run([*command, *more], check=True, capture_output=True, text=True, timeout=60)
    (tmp_path / file).write_text(done.stdout, encoding="utf-8")
    assert by_name(read_all(tmp_path / file)) == by_name(read_all(PLAIN / file))


def by_name(documents):
    return {(document["kind"], document["metadata"]["name"]): document for document in documents}
