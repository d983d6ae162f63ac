"""The gateway's bounds (reliability.md, S3). Each one that is hit is named in the answer and counted.

The HTTP status tells the sender what to do: 4xx is never sent again, but for 429, which is, as 503 is.
"""

MIB = 1024 * 1024

COMPRESSED_BYTES_MAX = 4 * MIB  # of a gzip body
BODY_BYTES_MAX = 20 * MIB  # of a body once decompressed: the Collector's own default
RATIO_MAX = 100  # decompressed to compressed, once the body is over RATIO_FREE_BYTES: an honest export is below 30
RATIO_FREE_BYTES = 1 * MIB
BODY_TIMEOUT_S = 30.0
IDLE_TIMEOUT_S = 60.0
SPANS_MAX = 10_000  # of a request
GRPC_CALLS_MAX = 32  # in progress: their messages are whole in memory before anybody can count them
REQUESTS_MAX = 256  # in progress at one time
HELD_BYTES_MAX = 256 * MIB  # bodies being read, and spans that Kafka has not acknowledged

PACK_BYTES = 256 * 1024  # a record is cut here; larger ones make consumers wait
RECORD_BYTES_MAX = 8 * MIB - 64 * 1024  # the topic takes 8 MiB: room for lz4's worst case and the batch header
FRAME_BYTES_MAX = 1 * MIB  # of a resource with its scope: it is repeated in every record of its request
ACK_TIMEOUT_S = 8.0  # below the 10 s after which an SDK gives up its request
RETRY_AFTER_S = 2
# At a clean stop, together below the 20 s that a supervisor grants.
STOP_REQUESTS_S = 10.0  # for requests in progress, which end within the wait for an acknowledgement
STOP_LEDGER_S = 2.0  # for the last word in the ledger
STOP_LOG_S = 4.0  # for records that no request waits for any more; then for the producer's own goodbye
