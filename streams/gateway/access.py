"""Who may send, and as which tenant: the key file, and TLS. Both are read again when they change, without a restart.

The law: what cannot be read leaves what was read before in force, and says so. Without a key file everybody is the default
tenant.
"""

import logging
import ssl
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from schemas.api_key import BadKeyFile, KeyFile, Keys, Limit, read_keys
from streams.console.errors import UserError
from streams.gateway.log import DEFAULT_TENANT
from streams.settings import Settings

LOOKED_S = 1.0  # how old an answer about a file may be

logger = logging.getLogger(__name__)


class _Watched:
    """Whether files have changed since they were last read."""

    def __init__(self, *files: Path) -> None:
        self._files = files
        self._seen = self._state()
        self._looked_s = time.monotonic()

    def changed(self) -> bool:
        """Asked at every request; looks at most once in `LOOKED_S`."""
        now_s = time.monotonic()
        if now_s - self._looked_s < LOOKED_S:
            return False
        self._looked_s = now_s
        before, self._seen = self._seen, self._state()
        return before != self._seen

    def _state(self) -> list[tuple[int, int, int] | None]:
        return [_stamp(file) for file in self._files]


def _stamp(file: Path) -> tuple[int, int, int] | None:
    try:
        stat = file.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino


class Access:
    """The keys in force."""

    def __init__(self, file: Path | None) -> None:
        """Raises UserError for a key file that cannot be used."""
        self._file = file
        self._said = KeyFile([])
        self._keys = Keys()
        self._has_several = False
        if file is not None:
            self._watched = _Watched(file)
            try:
                self._take(file)
            except (OSError, BadKeyFile) as error:
                raise UserError(f"the gateway's keys: {error}") from error

    @property
    def is_open(self) -> bool:
        """Whether anybody may send."""
        return self._file is None

    @property
    def has_several(self) -> bool:
        """Whether more than one tenant may send."""
        return self._has_several

    @property
    def limits(self) -> Mapping[str, Limit]:
        """What tenants may send."""
        return self._said.limits

    def tenant_of(self, authorization: str | None, names: Iterable[str] = ()) -> str | None:
        """The tenant of a request, None where it may not send: by the key that it shows, else by the first of the names in its
        client's certificate that stands for one."""
        if self._file is None:
            return DEFAULT_TENANT
        if self._watched.changed():
            self._read_again(self._file)
        if authorization is None and self._said.certificates:
            return next((found for name in names if (found := self._said.certificates.get(name))), None)
        return self._keys.tenant_of(authorization)

    def _take(self, file: Path) -> None:
        self._said = read_keys(file.read_bytes(), str(file))
        self._keys = Keys(self._said.keys)
        self._has_several = len(self._keys.tenants | set(self._said.certificates.values())) > 1

    def _read_again(self, file: Path) -> None:
        try:
            self._take(file)
            logger.info("%d keys are in force", len(self._keys))
        except (OSError, BadKeyFile) as error:
            logger.error("the keys stay as they were: %s", error)


def names_of(certificate: Mapping[str, Any] | None) -> list[str]:
    """The names in a client's certificate, as Python's `ssl` tells it: `DNS:...`, `URI:...`."""
    return [f"{kind}:{name}" for kind, name in (certificate or {}).get("subjectAltName", ())]


class Tls:
    """The certificate that is shown, and the authority that clients' certificates must come from, if any."""

    def __init__(self, certfile: Path, keyfile: Path | None, client_ca: Path | None) -> None:
        """Raises UserError for files that cannot be used."""
        self._pair, self._client_ca = (certfile, keyfile), client_ca
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            self.context.load_cert_chain(*self._pair)
            if client_ca is not None:
                self.context.load_verify_locations(client_ca)
                self.context.verify_mode = ssl.CERT_REQUIRED
        except OSError as error:
            raise UserError(
                f"the gateway's certificate cannot be used ({error}): look at STEPWATCH_GATEWAY_TLS_CERTFILE, "
                "STEPWATCH_GATEWAY_TLS_KEYFILE and STEPWATCH_GATEWAY_TLS_CLIENT_CA"
            ) from error
        self._watched = _Watched(*(file for file in self._pair if file is not None))

    def grpc_credentials(self) -> Any:
        """The same for gRPC, which reads the files for itself: at each new connection, where they have changed."""
        import grpc

        def read() -> Any:
            certfile, keyfile = self._pair
            ca = self._client_ca.read_bytes() if self._client_ca is not None else None
            pair = (keyfile or certfile).read_bytes(), certfile.read_bytes()
            return grpc.ssl_server_certificate_configuration([pair], root_certificates=ca)

        seen = _Watched(*(file for file in (*self._pair, self._client_ca) if file is not None))

        def renewed() -> Any:
            try:
                return read() if seen.changed() else None
            except OSError as error:
                logger.error("the certificate stays as it was: %s", error)
                return None

        return grpc.dynamic_ssl_server_credentials(read(), renewed, self._client_ca is not None)

    def refresh(self) -> None:
        """New connections are shown a certificate that was renewed; one that cannot be used leaves the old one."""
        if not self._watched.changed():
            return
        try:
            self.context.load_cert_chain(*self._pair)
            logger.info("the certificate was read again")
        except OSError as error:
            logger.error("the certificate stays as it was: %s", error)


def tls_of(settings: Settings) -> Tls | None:
    """TLS as the settings want it. Raises UserError."""
    certfile = settings.gateway_tls_certfile
    if certfile is None:
        return None
    return Tls(certfile, settings.gateway_tls_keyfile, settings.gateway_tls_client_ca)
