"""The list of attacks: what is tried, in a sentence each, and what is not held.

Read by ``attacks.report``, which puts tests beside the rows: those whose name holds the id (`test_a14_…`) and those
that say so (`@pytest.mark.attack("A14")`). A row without a test needs an entry in ``OPEN``; one that has both is held
as far as its tests go.
"""

PARTS = {
    "A": "Tokens of the portal",
    "B": "Sessions of the console",
    "C": "The edge: limits, other origins, frames, HTTP",
    "D": "Webhooks",
    "E": "Calls out",
    "F": "The expression language",
    "G": "Stored data",
    "H": "Credentials, keys, logs",
    "I": "Connecting accounts by OAuth",
    "J": "Templates, the wizard, files, what the program is made of",
}

ROWS = {
    "A01": "tokens that say they need no signature",
    "A05": "tokens of keys that nobody has, by the thousand",
    "A06": "key ids that are paths, statements, endless, or no text at all",
    "A07": "headers that bring a key, or name a place to fetch one from",
    "A08": "extensions, packed and nested tokens, encrypted ones, other serializations",
    "A09": "tokens that have ended",
    "A10": "tokens without the claims that bound them",
    "A11": "tokens that live longer than two minutes",
    "A12": "a birth long ago with an end that is near",
    "A14": "ends that are text, fractions, not finite, truth values or endless numbers",
    "A16": "a token shown a second time",
    "A17": "one token shown on many connections at once",
    "A18": "a used token after its server, or the database, was killed and came back",
    "A19": "a used token around its end, and on a server whose clock is late",
    "A20": "token ids of one organization used up by another",
    "A22": "a token of one organization that says it is another's",
    "A25": "tokens meant for others",
    "A26": "issuers that look like the right one",
    "A27": "members that stand twice in a token",
    "A30": "other writings of one token",
    "A32": "keys too short to protect anything",
    "A33": "credentials of one surface shown to another",
    "B01": "a session that was begun by somebody else",
    "B02": "cookies without their protection",
    "B03": "a log-out that loses against a request under way",
    "B04": "sessions that outlive their end, their password or their role",
    "B05": "session ids read from the store",
    "B08": "guessing credentials",
    "B10": "members of a body that nobody was to set",
    "B11": "one-time codes used twice, or guessed",
    "B12": "support that acts as somebody without saying why",
    "B13": "roles that do more than they may, and routes that say nothing of who may pass",
    "B14": "default credentials, and a first-run page that stays",
    "B15": "the console in somebody's frame",
    "B16": "private answers in shared caches",
    "C01": "headers that name another address than the caller's",
    "C04": "bursts around the border of a period",
    "C05": "the store of the limits goes away",
    "C06": "origins that look like listed ones",
    "C07": "pages that send the browser's own credentials",
    "C09": "the wizard framed by a stranger's page",
    "C12": "forged messages between frames",
    "C13": "secrets in addresses and storage of browsers",
    "C15": "requests that name another host, or two",
    "C16": "a thousand ranges of one file",
    "C18": "bodies that pretend to be another kind, and files made of JSON",
    "C20": "clients that write or read slowly",
    "C22": "methods that nobody serves, and methods in headers",
    "C23": "pages of the inside: counters, sources, maps, descriptions",
    "C25": "plain HTTP where HTTPS is meant, and HTTPS forced on neighbours",
    "D01": "webhooks with a wrong, missing, cut or foreign signature",
    "D04": "signatures outside of ASCII",
    "D05": "junk between the characters of a signature",
    "D06": "a signature over the body written anew",
    "D07": "ids that move the border of what is signed",
    "D08": "the secret of another hook, and one whose time is over",
    "D12": "documents that unfold, read files, or become formulas",
    "D13": "bodies that are not what they say",
    "D14": "pages that a scenario answers with, on our origin",
    "D15": "headers that a scenario sets",
    "E21": "addresses of metadata services",
    "E22": "names of this machine and of its neighbours",
    "E23": "names that change what they stand for",
    "E26": "addresses that can be read in two ways",
    "E27": "ports of services that speak no HTTP",
    "E28": "line breaks in headers, methods and addresses",
    "E33": "somebody else's credential with an address of one's own",
    "E34": "requests that say for no organization, or falsely for which",
    "E35": "code that passes the guard by",
    "F02": "format strings",
    "F03": "errors as values",
    "F04": "evaluation of the host language while text is only read",
    "F05": "ways around a list of forbidden names",
    "F06": "data that is evaluated a second time",
    "F07": "nesting without an end",
    "F08": "results that grow out of all measure",
    "F10": "patterns that backtrack",
    "F11": "dates and formats out of range",
    "F12": "odd keys and endless paths",
    "F13": "many small expressions that add up",
    "F15": "expressions where a name, host or statement is meant",
    "F16": "programs that nobody wrote",
    "G02": "columns and directions to sort by",
    "G04": "wildcards in searches",
    "G05": "operators of full-text queries",
    "G06": "pages and cursors out of range",
    "G08": "members of bodies as columns",
    "G10": "ids that can be guessed",
    "G11": "two editors at once",
    "G12": "names with control characters, twins, and megabytes",
    "H01": "changed bits and shortened tags",
    "H02": "sealed text moved to another place",
    "H04": "unknown keys and weaker forms",
    "H05": "a rotation of keys that is broken off",
    "H08": "lines, commands and templates in the log",
    "H09": "credentials in the log",
    "H10": "secrets in memory dumps and environments",
    "H13": "the audit trail, edited",
    "I01": "answers of a provider without the state of this browser",
    "I02": "a stranger's code in the victim's browser",
    "I04": "two providers mixed up",
    "I05": "variants of the address to return to",
    "I06": "odd answers of providers",
    "I08": "providers inside of the network",
    "I10": "a wizard begun by one organization and ended in another",
    "I11": "access that ends in the middle of a run",
    "J01": "markup in whatever is shown",
    "J02": "text that ends the script it is embedded in",
    "J04": "styles in a theme",
    "J05": "uploads and archives that leave their folder or explode",
    "J06": "blueprints with foreign ids, without an end, or of a later version",
    "J08": "packages that were exchanged on their way",
    "J09": "customers' data in the repository",
}

OPEN = {
    "A05": (
        "After 100 refusals of an address strangers from there are still looked up ten times a second, so that nobody "
        "behind the same address is locked out. Unknown addresses of webhooks are looked up each time and count for no "
        "limit, because senders share addresses."
    ),
    "B11": "There are no one-time codes: people sign in with a password.",
    "B12": "Nobody of support can act as somebody else: there is no such way in.",
    "B14": "There are no accounts until the command line makes one, and no page that makes the first.",
    "B16": "Every answer of an API and every page of the console says `no-store` (C06).",
    "C04": (
        "In the first period after a pause up to twice the limit passes: all at once, then one after the other. "
        "Without Redis, a caller whom a balancer keeps at one server has only that server's part."
    ),
    "C05": "After a time without Redis, servers that counted for themselves may be stricter for up to a period.",
    "C12": "Tested where the code is: `web/tests/message.test.ts`, `web/tests/client.test.ts`.",
    "C25": (
        "Only pages of the console lead from plain HTTP to HTTPS, where a trusted proxy says how it was called; the "
        "rest is the business of the proxy that ends TLS."
    ),
    "D01": (
        "The schemes sign the body alone (and the time), never the query and the content type; within its window a "
        "signed call can be sent again unless the hook names its events."
    ),
    "E35": "The second layer, the network policy of the chart, is read as written: no cluster has enforced it here.",
    "F13": (
        "A run's sum is 20 million steps, which patterns can stretch to some 25 s of processor time, in this process "
        "and not in one that can be killed; its neighbours get their turn every 20 ms."
    ),
    "G11": "Scenarios, their blueprints and interfaces have it; of anything else the last change stands.",
    "H13": (
        "What is changed within the second before its row is chained is not seen; a consistent roll-back of rows, head "
        "and anchors shows only against an anchor that was kept elsewhere (`audit verify --anchor`)."
    ),
    "J02": "No page embeds data: what a page shows comes over its calls, as JSON.",
    "J04": "Tested where the code is: `web/tests/theme.test.ts`, `web/tests/brand.test.ts`.",
}
