"""How metrics are read: who asks speaks as who answers, knows whom to trust, and never shows what it logs in with."""

from policy import selectors_of
from release import selects, title

CERTIFICATE, TOKEN = "TREBLE_ADMIN_TLS_CERTIFICATE_FILE", "TREBLE_ADMIN_TOKEN_FILE"


def watched(release):
    """Each pod with each PodMonitor that selects it."""
    for pod in release.pods():
        for each in release.of("PodMonitor"):
            if selects(selectors_of(each), pod.labels):
                yield pod, each, each["spec"]["podMetricsEndpoints"][0]


def probe_scheme(release):
    """The node asks in TLS where the port speaks it, and only there."""
    for pod in release.pods():
        wanted = "HTTPS" if CERTIFICATE in pod.environment() else "HTTP"
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            asked = pod.container.get(probe, {}).get("httpGet")
            if asked and asked.get("scheme", "HTTP") != wanted:
                yield pod.about, f"{probe} speaks {asked.get('scheme', 'HTTP')} to a port that speaks {wanted}: the pod would never be ready"


def scrape_tls(release):
    """Prometheus speaks TLS where the port does, and believes the authority that it was given, and nobody else."""
    for pod, each, endpoint in watched(release):
        if CERTIFICATE not in pod.environment():
            if endpoint.get("scheme", "http").lower() != "http" or "tlsConfig" in endpoint:
                yield title(each), f"speaks TLS to {pod.about}, which does not"
            continue
        trust = endpoint.get("tlsConfig", {})
        if endpoint.get("scheme") != "https":
            yield title(each), f"speaks plain HTTP to {pod.about}, which speaks TLS"
        if not trust.get("ca", {}).get("secret"):
            yield title(each), "knows no authority: every certificate would be refused, or a public one taken"
        if trust.get("insecureSkipVerify"):
            yield title(each), "believes everybody: insecureSkipVerify"
        # The address of a pod is in no certificate.
        if not trust.get("serverName"):
            yield title(each), "looks for an address in certificates that have a name"


def scrape_token(release):
    """The token comes from a Secret, goes with every question that asks for it, and never travels open."""
    for pod, each, endpoint in watched(release):
        given = endpoint.get("authorization", {})
        if (TOKEN in pod.environment()) != bool(given):
            yield title(each), f"brings {'a' if given else 'no'} token to {pod.about}, which asks for {'none' if given else 'one'}"
        if given and (given.get("type", "Bearer") != "Bearer" or not given.get("credentials", {}).get("key")):
            yield title(each), "brings no bearer token of a Secret"
        for key in ("params", "proxyConnectHeader", "basicAuth", "bearerTokenSecret"):
            if key in endpoint:
                yield title(each), f"{key}: not how Treble is asked, and a place where secrets are seen"
    for pod in release.pods():
        if TOKEN in pod.environment() and CERTIFICATE not in pod.environment():
            yield pod.about, "asks for a token that travels open"


SCRAPING = {"probe-scheme": probe_scheme, "scrape-tls": scrape_tls, "scrape-token": scrape_token}
