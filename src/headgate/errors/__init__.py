"""Every error Headgate raises, in one tree.

HeadgateError
├── GatewayError            who calls, and for whom: answered in the gateway's envelope
├── TokenRefused            the token endpoint: answered as OAuth 2.0 says
├── SandboxRefusal          sandbox management, in its own envelope
├── InvalidRequest          400: the request itself is wrong
│   ├── …                   one class per catalogue code
│   └── ProviderRefusal     those of the source providers' table
├── NotFound                404
├── VersionConflict         412
├── Unavailable             503, nothing was stored
│   └── OutcomeUnknown      or nobody can say
└── RunError                why a run failed; never an HTTP answer
    ├── SourceError         reading; `retryable` says whether another attempt may help
    └── TargetError         writing

A class is an HTTP status, a stable code and a promise about retrying. Its docstring is the default
message, so that the text a user sees and the reference page are the same. Codes are those of the
public Flow Service error tables; `CONNECTOR-` marks the table of the source providers.

A module per table: `root` has what any address may answer, `gateway` who is let in, `flow_service`, `providers` and
`neighbours` what each refuses, `access` what is refused of those who manage rights, `console` of browsers, `runs` why
runs fail. All of it is imported from here.
"""

from headgate.errors.access import *
from headgate.errors.console import *
from headgate.errors.flow_service import *
from headgate.errors.gateway import *
from headgate.errors.neighbours import *
from headgate.errors.providers import *
from headgate.errors.root import *
from headgate.errors.runs import *
