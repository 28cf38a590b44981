"""The faults that the product is held against: what goes wrong, and what has to hold all the same.

Read by ``faults.page``, which puts the tests beside them: those whose docstring names a fault, or their module's when
it names one alone, and those that a patch in `mutants/` names. A fault without a test needs an entry in ``OPEN``; one
that has both is held as far as its tests go. Attacks on people and on consents that have a patch stand in
`attacks/rows.py`.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fault:
    """What is broken, and what must hold."""

    broken: str
    holds: str


PARTS = {
    "Processes die": (1, 10),
    "Sleepers, leases, leadership": (11, 18),
    "Disk, memory, clocks, connections": (20, 29),
    "Redis": (30, 35),
    "Lines and shards": (36, 40),
    "Targets of calls": (41, 49),
    "Shards come, go and move": (50, 54),
    "Releases and keys": (55, 60),
    "Messages and clients": (61, 69),
    "Whoever looks on, and what is kept": (70, 79),
}

FAULTS = {
    "F-01": Fault(
        "a worker, or the whole server, is killed again and again under load",
        "every acknowledged webhook has exactly one end, and its run goes on elsewhere within 20 s",
    ),
    "F-02": Fault(
        "a process is killed at a named point of a call or of a delivery",
        "only what was answered and not recorded is done twice, and then under the same key or id",
    ),
    "F-03": Fault(
        "one of two servers behind nginx is killed while webhooks come in",
        "only the requests that were open there are in doubt; nothing acknowledged is lost",
    ),
    "F-04": Fault(
        "PostgreSQL is killed and stays away, again and again",
        "the server lives on, says that it is not ready, recovers by itself; nothing acknowledged is lost",
    ),
    "F-05": Fault(
        "every connection to the database is ended in the middle of its work",
        "readers notice nothing; a write whose answer was lost is never sent a second time by itself",
    ),
    "F-06": Fault("Redis is killed and comes back empty", "a used token is refused by every server all the same"),
    "F-07": Fault(
        "ZooKeeper is gone, or has no quorum",
        "webhooks and runs go on; nobody leads longer than a session, and somebody leads soon after it is back",
    ),
    "F-08": Fault(
        "nginx reads its configuration anew, loses a worker, loses its master",
        "reading anew is not felt; a worker that dies takes along what it had open and nothing else",
    ),
    "F-09": Fault(
        "everything dies in one moment and is started in any order",
        "it comes up without a manual step and has lost nothing",
    ),
    "F-10": Fault(
        "a run wants more memory than there is",
        "it fails by itself, or is given up after three attempts; the runs of others have their end",
    ),
    "F-11": Fault(
        "a leader sleeps past its term and wakes up", "what it writes then is refused; each tick fires exactly once"
    ),
    "F-12": Fault(
        "a worker, a sealer or a report sleeps past its lease and wakes up",
        "the fence refuses what it writes; there is one outcome, one chain, one report",
    ),
    "F-13": Fault(
        "the answer to the creation of a candidate's node is lost",
        "the candidate finds its own node; there is a leader, and no node is left over",
    ),
    "F-14": Fault(
        "a session with ZooKeeper runs out in a process that lives",
        "it leads no more, is followed, and joins again with a new session",
    ),
    "F-15": Fault("the leader of a hundred candidates dies", "one of them wakes up, not all"),
    "F-16": Fault("a lock is given back after it had passed on", "what the next holder has is not taken away"),
    "F-17": Fault(
        "two movers of one organization, or one that slept",
        "one flips the placement; the other changes nothing",
    ),
    "F-18": Fault(
        "the wall clock jumps while somebody leads",
        "terms are counted by the database's clock and sessions by the monotonic one: nobody leads twice",
    ),
    "F-20": Fault(
        "the volume of the database is full, for rows and for its log",
        "no webhook is acknowledged that is not stored; it recovers by itself when there is room",
    ),
    "F-21": Fault(
        "the volume of the log is full or read-only", "requests are served, and what was not written is counted"
    ),
    "F-22": Fault("there is no room for temporary files", "the execution fails by itself, and leaves no file"),
    "F-23": Fault("the write-ahead log cannot be synced", "nothing acknowledged is lost after the database's restart"),
    "F-24": Fault("the machine loses power", "nothing acknowledged is lost"),
    "F-25": Fault(
        "the disk is slow", "acknowledgements wait and queues stay bounded; nothing is acknowledged uncommitted"
    ),
    "F-26": Fault(
        "the clock of one server is wrong",
        "within the leeway nothing is refused; beyond it that server alone lets no token in and says why",
    ),
    "F-27": Fault("a process has no file descriptors or threads left", "it refuses, lives on and recovers"),
    "F-28": Fault(
        "all connections of a pool are taken",
        "who needs one is told so within two seconds; what needs none goes on",
    ),
    "F-29": Fault(
        "somebody holds a lock of a table for long",
        "who needs the table gets a 503 in time; nothing has piled up behind it",
    ),
    "F-30": Fault(
        "Redis is stopped under load",
        "nobody is refused for it; limits hold, each server counting its part",
    ),
    "F-31": Fault("Redis is emptied in a storm of replayed tokens", "no token enters twice"),
    "F-32": Fault("Redis takes connections and never answers", "it is waited for once, and then left alone"),
    "F-33": Fault(
        "Redis is full, evicts, fails over to nothing, or lies about what was",
        "that costs misses and nothing else: what is remembered is never older than five seconds",
    ),
    "F-34": Fault(
        "changes are told while a process does not hear",
        "it finds out what it missed, and no event is heard twice",
    ),
    "F-35": Fault("strangers write to the stream of events", "it is dropped and counted; nobody dies of it"),
    "F-36": Fault(
        "the line between a process and the database falls silent",
        "it says that it is not ready and is left out; what arrives late is not done twice",
    ),
    "F-37": Fault(
        "a leader alone hears nothing of ZooKeeper",
        "it steps down by its own clock, before anybody else leads, and gives up its session, so that another does",
    ),
    "F-38": Fault(
        "one shard of two is down, or frozen",
        "its organizations are told to try again; nobody else notices, also not at a start without it",
    ),
    "F-39": Fault(
        "the line to the database comes and goes every second",
        "nothing is lost, no storm of connections, and a good part of all calls succeeds",
    ),
    "F-40": Fault(
        "secrets go through everything that is kept or shown",
        "none of them is in a log, a dump, an error, a metric or an export",
    ),
    "F-41": Fault(
        "a target accepts a call and never comes to an end",
        "the call ends at its deadline; the others have their share of the process meanwhile",
    ),
    "F-42": Fault(
        "a target breaks a call off",
        "only what may be repeated is sent again, every time under one key",
    ),
    "F-43": Fault(
        "a target's answer is larger than anybody can take",
        "it is left where it is: neither time nor memory grows with it",
    ),
    "F-44": Fault(
        "a target sends its caller elsewhere: inside, in circles, to strangers",
        "nothing inside is dialled, hops are counted, a stranger gets no credential",
    ),
    "F-45": Fault(
        "a name turns from an address outside to one inside, or is never answered",
        "only the address that was judged is dialled, within the call's deadline",
    ),
    "F-46": Fault("a target says when to come again", "it is left alone for so long, and never longer than a day"),
    "F-47": Fault(
        "a target fails half of the time, or answers too slowly",
        "calls to it stop, and begin again with no more than three",
    ),
    "F-48": Fault(
        "the target of one team and credential is dead",
        "nobody else with the same host is kept from it; refusals do not count",
    ),
    "F-49": Fault("thousands of calls fail in one moment", "they do not come back in one moment"),
    "F-50": Fault(
        "a shard joins and leaves while its organizations write",
        "nothing is lost or done twice, reads find what there is, the pause is short",
    ),
    "F-51": Fault(
        "the mover or a database dies in a move",
        "it is gone on with from there; exactly one shard owns the organization at each moment",
    ),
    "F-52": Fault("a process with an old map writes to the shard that was left", "the shard refuses it"),
    "F-53": Fault(
        "one organization makes most of the load",
        "the others wait hardly longer, the operator is told, and can move it",
    ),
    "F-54": Fault("organizations are listed while they move", "each stands there once"),
    "F-55": Fault("every process is restarted in turn under load", "no request fails"),
    "F-56": Fault(
        "the database is brought to the next version under load",
        "servers of the version before go on; nobody waits behind a migration",
    ),
    "F-57": Fault(
        "keys are rotated under load",
        "nothing valid is refused while two are in force, and the old one opens nothing after its end",
    ),
    "F-58": Fault(
        "servers come and go", "sessions stay, limits stay those of one server, connections stay within bounds"
    ),
    "F-59": Fault("the configuration is wrong", "the program ends with one clear sentence and shows no secret"),
    "F-60": Fault(
        "the installation is destroyed and restored from a backup",
        "everything acknowledged before the backup's moment is there once, and no used token enters again",
    ),
    "F-61": Fault("one event is told a hundred times at once", "there is one execution, and each copy is told its id"),
    "F-62": Fault("runs of one key while processes die and one run fails", "their order holds; other keys do not wait"),
    "F-63": Fault("work that breaks whoever takes it", "it is given up as a dead letter, kept, and can be begun anew"),
    "F-64": Fault("clients write, or read, a byte now and then", "they are cut off, and cost nobody else anything"),
    "F-65": Fault("a hundred thousand idle connections", "no process sees more than it takes"),
    "F-66": Fault(
        "a tenant floods its webhook at ten times its limit",
        "it is told exactly when to come again; its neighbour feels nothing",
    ),
    "F-67": Fault("clients go away in the middle of a request", "nothing half-written is left"),
    "F-68": Fault("two people retry thousands of failed runs twice", "each is run anew once"),
    "F-69": Fault("windows that are blocked, closed, doubled", "the wizard ends in a state that it knows"),
    "F-70": Fault(
        "the collector of traces is away, slow, or answers nonsense",
        "no request fails or waits, what is not kept is counted, and memory stays flat",
    ),
    "F-71": Fault(
        "old bodies of runs are removed under load while servers are killed",
        "nothing goes that waits, runs or is incomplete, and every acknowledged webhook has its end",
    ),
}

OPEN = {
    "F-22": "No module keeps temporary files; the limits of what a run holds are those of F-10.",
    "F-23": "No test makes a sync fail; F-20 has PostgreSQL give up over its log and come back.",
    "F-24": "Killing processes does not lose what the kernel has not written: this is not tested.",
    "F-25": "No test slows the disk.",
    "F-27": "No test takes a server's descriptors or threads away; its connections are bounded (F-64).",
    "F-65": "Connections are bounded and turned away (F-64); the hundred thousand were not tried.",
    "F-67": "No test of its own: what a broken line leaves is held by F-03, F-05 and F-36.",
    "F-68": "No test of its own: what two people do at once to one run is held by the tests of incomplete executions.",
    "F-69": "What the wizard does in a browser is tested in `tests/acceptance/browser` and `web/tests`, not by fault.",
}
