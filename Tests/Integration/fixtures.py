"""Fixtures of the integration and peer tests: ports, nodes, upstreams, the usual mesh."""

from dataclasses import dataclass

import pytest
import reaper
from ports import Ports
from ringmesh import Node, defaults, engine, service, sidecar
from wire import Recorder


def pytest_configure():
    """Whatever a test starts, by whatever means, ends with this process."""
    reaper.arm()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Keeps the outcome of the test's body for the fixtures that tidy up after it."""
    outcome = yield
    report = outcome.get_result()
    if report.when == "call":
        item.failed_call = report.failed


# What these prove does not pass through a worker's engine (commands, API, names, documents, units,
# foreign software among itself), or they choose their engines themselves: a run for one engine
# leaves them out.
ANY_ENGINE = {
    "test_admin",
    "test_bad_configuration",
    "test_consul_clients",
    "test_consul_refusals",
    "test_consul_requests",
    "test_consul_samples",
    "test_consul_state_clients",
    "test_consul_vectors",
    "test_dns",
    "test_documents",
    "test_engines",
    "test_harness",
    "test_http2_standin",
    "test_meshctl",
    "test_package",
    "test_reaper",
    "test_standin_cases",
    "test_store_trouble",
    "test_virtual_addresses",
}
# The files that take longest, begun first, so that no process is left alone with one at the end.
LONGEST = [
    "test_dataplane_upgrade",
    "test_consul_agent",
    "test_root_rotation",
    "test_documents",
    "test_http2_attacks",
    "test_soak",
    "test_attacks",
    "test_http_cases",
    "test_http2_upstream",
    "test_tracing",
    "test_bodies",
    "test_http2_messages",
    "test_differential",
    "test_tls_scanners",
    "test_second_hop",
]


def pytest_collection_modifyitems(config, items):
    if engine() is not None:
        left_out = [item for item in items if item.path.stem in ANY_ENGINE]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item.path.stem not in ANY_ENGINE]
    places = {stem: at for at, stem in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path.stem, len(places)))


@pytest.fixture
def ports():
    held = Ports()
    yield held
    held.close()


@pytest.fixture
def recorders():
    """Makes recording upstreams that end with the test."""
    made = []

    def make(answer=None, port=0):
        made.append(Recorder(port, answer))
        return made[-1]

    yield make
    for recorder in made:
        recorder.close()


@pytest.fixture
def nodes(ports, request):
    """Makes nodes that end with the test; their logs are shown when it fails."""
    made = []

    def make(**config):
        made.append(Node(ports, **config))
        return made[-1]

    yield make
    errors = []
    for node in made:
        if getattr(request.node, "failed_call", False) and node.control:
            print(f"--- {node.control.name} of {node.directory}\n{node.control.tail(40)}")
        try:
            node.close()
        except AssertionError as error:
            errors.append(str(error))
    assert not errors, "\n".join(errors)


@dataclass
class Mesh:
    """`api` and `web`, each with a sidecar; api's application talks to web through `local`."""

    node: Node
    web: Recorder
    local: int
    web_sidecar: int
    api_sidecar: int
    batch_local: int


@pytest.fixture
def mesh(nodes, recorders, ports):
    """Starts the usual mesh: api may call web, batch may not."""

    def make(protocol="http", answer=None, start=True, **config):
        web = recorders(answer)
        local, batch_local, web_port, api_port, batch_port = ports.take(5)
        node = nodes(
            services=[
                service("web", web.port, connect=sidecar(web_port)),
                service("api", ports.dead(), connect=sidecar(api_port, {"web": local})),
                service("batch", ports.dead(), connect=sidecar(batch_port, {"web": batch_local})),
            ],
            config_entries=[defaults("web", protocol)],
            **config,
        )
        made = Mesh(node, web, local, web_port, api_port, batch_local)
        if start:
            node.start()
            node.allow("api", "web")
        return made

    return make
