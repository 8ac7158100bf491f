"""Error classes: codes, flags, texts, and that each survives `copy.copy` and pickling."""

from __future__ import annotations

import copy
import inspect
import pickle

import pytest

import aiokafka.errors as errors
from aiokafka.structs import TopicPartition

CLASSES = sorted(
    {c for c in vars(errors).values() if inspect.isclass(c) and issubclass(c, Exception)},
    key=lambda c: c.__name__,
)
KAFKA_CLASSES = [c for c in CLASSES if issubclass(c, errors.KafkaError)]
TIMEOUTS = (
    errors.MetadataTimeoutError,
    errors.DeliveryTimeoutError,
    errors.BufferTimeoutError,
)

# (code, class, name of the code, retriable, invalid_metadata) that applications rely on.
KNOWN_CODES = """
-1 UnknownError UNKNOWN
0 NoError NO_ERROR
1 OffsetOutOfRangeError OFFSET_OUT_OF_RANGE
2 CorruptRecordException CORRUPT_MESSAGE
3 UnknownTopicOrPartitionError UNKNOWN_TOPIC_OR_PARTITION RM
4 InvalidFetchRequestError INVALID_FETCH_SIZE
5 LeaderNotAvailableError LEADER_NOT_AVAILABLE RM
6 NotLeaderForPartitionError NOT_LEADER_FOR_PARTITION RM
7 RequestTimedOutError REQUEST_TIMED_OUT R
8 BrokerNotAvailableError BROKER_NOT_AVAILABLE
9 ReplicaNotAvailableError REPLICA_NOT_AVAILABLE
10 MessageSizeTooLargeError MESSAGE_SIZE_TOO_LARGE
11 StaleControllerEpochError STALE_CONTROLLER_EPOCH
12 OffsetMetadataTooLargeError OFFSET_METADATA_TOO_LARGE
13 StaleLeaderEpochCodeError STALE_LEADER_EPOCH_CODE
14 GroupLoadInProgressError COORDINATOR_LOAD_IN_PROGRESS R
15 GroupCoordinatorNotAvailableError COORDINATOR_NOT_AVAILABLE R
16 NotCoordinatorForGroupError NOT_COORDINATOR R
17 InvalidTopicError INVALID_TOPIC
18 RecordListTooLargeError RECORD_LIST_TOO_LARGE
19 NotEnoughReplicasError NOT_ENOUGH_REPLICAS R
20 NotEnoughReplicasAfterAppendError NOT_ENOUGH_REPLICAS_AFTER_APPEND R
21 InvalidRequiredAcksError INVALID_REQUIRED_ACKS
22 IllegalGenerationError ILLEGAL_GENERATION
23 InconsistentGroupProtocolError INCONSISTENT_GROUP_PROTOCOL
24 InvalidGroupIdError INVALID_GROUP_ID
25 UnknownMemberIdError UNKNOWN_MEMBER_ID
26 InvalidSessionTimeoutError INVALID_SESSION_TIMEOUT
27 RebalanceInProgressError REBALANCE_IN_PROGRESS
28 InvalidCommitOffsetSizeError INVALID_COMMIT_OFFSET_SIZE
29 TopicAuthorizationFailedError TOPIC_AUTHORIZATION_FAILED
30 GroupAuthorizationFailedError GROUP_AUTHORIZATION_FAILED
31 ClusterAuthorizationFailedError CLUSTER_AUTHORIZATION_FAILED
32 InvalidTimestampError INVALID_TIMESTAMP
33 UnsupportedSaslMechanismError UNSUPPORTED_SASL_MECHANISM
34 IllegalSaslStateError ILLEGAL_SASL_STATE
35 UnsupportedVersionError UNSUPPORTED_VERSION
36 TopicAlreadyExistsError TOPIC_ALREADY_EXISTS
37 InvalidPartitionsError INVALID_PARTITIONS
38 InvalidReplicationFactorError INVALID_REPLICATION_FACTOR
39 InvalidReplicationAssignmentError INVALID_REPLICATION_ASSIGNMENT
40 InvalidConfigurationError INVALID_CONFIG
41 NotControllerError NOT_CONTROLLER R
42 InvalidRequestError INVALID_REQUEST
43 UnsupportedForMessageFormatError UNSUPPORTED_FOR_MESSAGE_FORMAT
44 PolicyViolationError POLICY_VIOLATION
45 OutOfOrderSequenceNumber OUT_OF_ORDER_SEQUENCE_NUMBER
46 DuplicateSequenceNumber DUPLICATE_SEQUENCE_NUMBER
47 InvalidProducerEpoch INVALID_PRODUCER_EPOCH
48 InvalidTxnState INVALID_TXN_STATE
49 InvalidProducerIdMapping INVALID_PRODUCER_ID_MAPPING
50 InvalidTransactionTimeout INVALID_TRANSACTION_TIMEOUT
51 ConcurrentTransactions CONCURRENT_TRANSACTIONS
52 TransactionCoordinatorFenced TRANSACTION_COORDINATOR_FENCED
53 TransactionalIdAuthorizationFailed TRANSACTIONAL_ID_AUTHORIZATION_FAILED
54 SecurityDisabled SECURITY_DISABLED
55 OperationNotAttempted OPERATION_NOT_ATTEMPTED
56 KafkaStorageError KAFKA_STORAGE_ERROR RM
57 LogDirNotFound LOG_DIR_NOT_FOUND
58 SaslAuthenticationFailed SASL_AUTHENTICATION_FAILED
59 UnknownProducerId UNKNOWN_PRODUCER_ID
60 ReassignmentInProgress REASSIGNMENT_IN_PROGRESS
61 DelegationTokenAuthDisabled DELEGATION_TOKEN_AUTH_DISABLED
62 DelegationTokenNotFound DELEGATION_TOKEN_NOT_FOUND
63 DelegationTokenOwnerMismatch DELEGATION_TOKEN_OWNER_MISMATCH
64 DelegationTokenRequestNotAllowed DELEGATION_TOKEN_REQUEST_NOT_ALLOWED
65 DelegationTokenAuthorizationFailed DELEGATION_TOKEN_AUTHORIZATION_FAILED
66 DelegationTokenExpired DELEGATION_TOKEN_EXPIRED
67 InvalidPrincipalType INVALID_PRINCIPAL_TYPE
68 NonEmptyGroup NON_EMPTY_GROUP
69 GroupIdNotFound GROUP_ID_NOT_FOUND
70 FetchSessionIdNotFound FETCH_SESSION_ID_NOT_FOUND
71 InvalidFetchSessionEpoch INVALID_FETCH_SESSION_EPOCH
72 ListenerNotFound LISTENER_NOT_FOUND
79 MemberIdRequired MEMBER_ID_REQUIRED
"""

# Codes that are new in this version, flags as in the Java client's class hierarchy.
NEW_CODES = """
74 FencedLeaderEpochError FENCED_LEADER_EPOCH RM
75 UnknownLeaderEpochError UNKNOWN_LEADER_EPOCH R
76 UnsupportedCompressionTypeError UNSUPPORTED_COMPRESSION_TYPE
78 OffsetNotAvailableError OFFSET_NOT_AVAILABLE R
81 GroupMaxSizeReachedError GROUP_MAX_SIZE_REACHED
82 FencedInstanceIdError FENCED_INSTANCE_ID
87 InvalidRecordError INVALID_RECORD
88 UnstableOffsetCommitError UNSTABLE_OFFSET_COMMIT R
89 ThrottlingQuotaExceededError THROTTLING_QUOTA_EXCEEDED R
90 ProducerFencedError PRODUCER_FENCED
100 UnknownTopicIdError UNKNOWN_TOPIC_ID RM
103 InconsistentTopicIdError INCONSISTENT_TOPIC_ID RM
106 FetchSessionTopicIdError FETCH_SESSION_TOPIC_ID_ERROR R
110 FencedMemberEpochError FENCED_MEMBER_EPOCH
113 StaleMemberEpochError STALE_MEMBER_EPOCH
120 TransactionAbortableError TRANSACTION_ABORTABLE
129 RebootstrapRequiredError REBOOTSTRAP_REQUIRED
133 ShareSessionLimitReachedError SHARE_SESSION_LIMIT_REACHED R
"""

CODE_ROWS = [(*row.split(), "")[:4] for row in (KNOWN_CODES + NEW_CODES).split("\n") if row]

CLIENT_FLAGS = {
    "NoBrokersAvailable": "RM",
    "NodeNotReadyError": "R",
    "KafkaProtocolError": "R",
    "CorrelationIdError": "R",
    "Cancelled": "R",
    "TooManyInFlightRequests": "R",
    "StaleMetadata": "RM",
    "MetadataEmptyBrokerList": "R",
    "KafkaConnectionError": "RM",
}
CLIENT_ERRORS = [
    "IllegalStateError",
    "IllegalArgumentError",
    "UnrecognizedBrokerVersion",
    "IncompatibleBrokerVersion",
    "CommitFailedError",
    "AuthenticationMethodNotSupported",
    "AuthenticationFailedError",
    "KafkaUnavailableError",
    "KafkaTimeoutError",
    "UnsupportedCodecError",
    "KafkaConfigurationError",
    "QuotaViolationError",
    "NoOffsetForPartitionError",
    "RecordTooLargeError",
    "ProducerClosed",
    "ProducerFenced",
    *CLIENT_FLAGS,
]


@pytest.mark.parametrize(("code", "name", "message", "flags"), CODE_ROWS)
def test_broker_code(code: str, name: str, message: str, flags: str) -> None:
    cls = errors.for_code(int(code))
    assert cls is errors.kafka_errors[int(code)] is getattr(errors, name)
    assert issubclass(cls, errors.BrokerResponseError)
    assert (cls.errno, cls.message) == (int(code), message)
    assert cls.description
    assert (cls.retriable, cls.invalid_metadata) == ("R" in flags, "M" in flags)
    assert cls("text").errno == int(code)


def test_every_code_to_133_has_a_class_of_its_own() -> None:
    assert sorted(errors.kafka_errors) == list(range(-1, 134))
    assert len(set(errors.kafka_errors.values())) == 135
    assert {code: cls.errno for code, cls in errors.kafka_errors.items()} == {
        code: code for code in errors.kafka_errors
    }


@pytest.mark.parametrize("code", [-2, 134, 999, 32767])
def test_unknown_code(code: int) -> None:
    assert errors.for_code(code) is errors.UnknownError


@pytest.mark.parametrize("name", CLIENT_ERRORS)
def test_client_error_flags(name: str) -> None:
    cls = getattr(errors, name)
    flags = CLIENT_FLAGS.get(name, "")
    assert issubclass(cls, errors.KafkaError)
    assert not issubclass(cls, errors.BrokerResponseError)
    assert (cls.retriable, cls.invalid_metadata) == ("R" in flags, "M" in flags)


def test_bases() -> None:
    assert errors.KafkaError.__bases__ == (RuntimeError,)
    assert errors.ConsumerStoppedError.__bases__ == (Exception,)
    assert errors.IllegalOperation.__bases__ == (Exception,)
    assert issubclass(errors.CorrelationIdError, errors.KafkaProtocolError)


def test_aliases() -> None:
    assert errors.InvalidMessageError is errors.CorruptRecordException
    assert errors.CoordinatorLoadInProgressError is errors.GroupLoadInProgressError
    assert errors.CoordinatorNotAvailableError is errors.GroupCoordinatorNotAvailableError
    assert errors.NotCoordinatorError is errors.NotCoordinatorForGroupError


@pytest.mark.parametrize("cls", KAFKA_CLASSES)
def test_flags_are_class_attributes_that_make_sense(cls: type[errors.KafkaError]) -> None:
    for flag in ("retriable", "invalid_metadata", "coordinator_gone", "abortable", "fatal"):
        assert isinstance(getattr(cls, flag), bool)
    assert not (cls.fatal and cls.retriable)
    assert not (cls.abortable and (cls.retriable or cls.fatal))
    assert cls.retriable or not (cls.invalid_metadata or cls.coordinator_gone)


def test_coordinator_gone_is_not_said_of_a_coordinator_that_loads() -> None:
    gone = {c.errno for c in errors.kafka_errors.values() if c.coordinator_gone}
    assert gone == {15, 16}


def test_abortable_and_fatal_codes() -> None:
    assert {c.errno for c in errors.kafka_errors.values() if c.abortable} == {
        29, 30, 45, 59, 120,
    }  # fmt: skip
    assert {c.errno for c in errors.kafka_errors.values() if c.fatal} == {
        31, 33, 34, 35, 47, 48, 49, 50, 53, 58, 81, 82, 90, 111, 112, 128,
    }  # fmt: skip


def test_broker_says_fenced_and_users_catch_producer_fenced() -> None:
    error = errors.for_code(90)("zombie")
    assert isinstance(error, errors.ProducerFenced)
    assert isinstance(error, errors.BrokerResponseError)
    assert str(error) == "[Error 90] ProducerFencedError: zombie"
    assert "transactional_id" in str(errors.for_code(90)())


def test_texts() -> None:
    assert str(errors.KafkaError()) == "KafkaError"
    assert str(errors.KafkaConnectionError("refused")) == "KafkaConnectionError: refused"
    assert str(errors.KafkaError("a", 1)) == "KafkaError: ('a', 1)"
    assert str(errors.NoError()) == "[Error 0] NoError"
    assert str(errors.UnknownTopicOrPartitionError("t")) == (
        "[Error 3] UnknownTopicOrPartitionError: t"
    )
    assert repr(errors.OffsetOutOfRangeError({})) == "OffsetOutOfRangeError({})"
    assert errors.TransactionalIdAuthorizationFailed("txn").args[0] == "txn"


def test_docs_of_a_code_without_docstring_come_from_its_description() -> None:
    doc = errors.RequestTimedOutError.__doc__ or ""
    assert errors.RequestTimedOutError.description in doc
    assert "REQUEST_TIMED_OUT" in doc


def test_commit_failed_keeps_its_explanation_once() -> None:
    error = errors.CommitFailedError("group is already rebalanced")
    explanation, extra = error.args
    assert "max_poll_interval_ms" in explanation
    assert extra == "group is already rebalanced"
    assert "already rebalanced" in str(error)
    assert copy.copy(error).args == error.args
    assert len(errors.CommitFailedError().args) == 1


def test_fenced_without_arguments() -> None:
    assert "transactional_id" in str(errors.ProducerFenced())
    assert errors.ProducerFenced("why").args == ("why",)


@pytest.mark.parametrize("cls", CLASSES)
@pytest.mark.parametrize("args", [(), ("text",), ({"tp": 1},)])
def test_copy_and_pickle_keep_args_and_attributes(
    cls: type[Exception], args: tuple[object, ...]
) -> None:
    original = cls(*args)
    original.extra = {"a": 1}  # type: ignore[attr-defined]
    for twin in (copy.copy(original), pickle.loads(pickle.dumps(original))):
        assert type(twin) is cls
        assert twin is not original
        assert twin.args == original.args
        assert vars(twin) == vars(original)
        assert str(twin) == str(original)


@pytest.mark.parametrize("cls", CLASSES)
def test_public_home(cls: type[Exception]) -> None:
    assert cls.__module__ == "aiokafka.errors"
    assert cls.__name__ in errors.__all__
    assert cls.__doc__


def test_all_names_exist() -> None:
    assert [name for name in errors.__all__ if not hasattr(errors, name)] == []


class TestMetadataTimeout:
    def make(self, **kwargs: object) -> errors.MetadataTimeoutError:
        facts: dict[str, object] = {
            "topic": "orders", "budget_ms": 2000, "elapsed_ms": 2003.2, "attempts": 7,
        }  # fmt: skip
        return errors.MetadataTimeoutError(**{**facts, **kwargs})  # type: ignore[arg-type]

    def test_is_both_the_new_and_the_old_contract(self) -> None:
        error = self.make()
        assert isinstance(error, errors.KafkaTimeoutError)
        assert isinstance(error, errors.UnknownTopicOrPartitionError)
        assert (error.errno, error.retriable, error.invalid_metadata) == (3, True, True)
        assert errors.for_code(3) is errors.UnknownTopicOrPartitionError

    def test_text_has_all_facts_and_no_error_code(self) -> None:
        cause = errors.KafkaConnectionError("broker:9092 refused")
        error = self.make(cause=cause)
        assert str(error) == (
            "MetadataTimeoutError: Topic 'orders' not present in metadata after 2003 ms and"
            " 7 attempts (budget 2000 ms); last error: KafkaConnectionError: broker:9092 refused"
        )
        assert error.__cause__ is cause

    def test_text_of_partition_and_cluster(self) -> None:
        text = str(self.make(partition=9, available=3))
        assert "Partition 9 of topic 'orders' not present in metadata" in text
        assert "it has 3 partitions" in text
        assert "metadata of the cluster" in str(self.make(topic=None))

    def test_cause_without_text_is_named(self) -> None:
        assert str(self.make(cause=TimeoutError())).endswith("last error: TimeoutError")
        assert str(self.make(cause=OSError("no route"))).endswith("last error: OSError: no route")

    def test_own_text(self) -> None:
        error = self.make(message="gone")
        assert error.args == ("gone",)
        assert error.topic == "orders"

    def test_copy(self) -> None:
        twin = copy.copy(self.make(partition=1))
        assert (twin.topic, twin.partition) == ("orders", 1)
        assert (twin.budget_ms, twin.elapsed_ms, twin.attempts) == (2000, 2003.2, 7)


def test_delivery_timeout() -> None:
    tp = TopicPartition("orders", 3)
    error = errors.DeliveryTimeoutError(
        tp=tp, record_count=12, elapsed_ms=120_004.4, attempts=5, budget_ms=120_000,
        cause=errors.NotLeaderForPartitionError(tp),
    )  # fmt: skip
    text = str(error)
    for fact in ("12 record(s)", "orders-3", "120004 ms", "5 attempts", "120000", "[Error 6]"):
        assert fact in text
    assert isinstance(error, errors.KafkaTimeoutError)
    assert isinstance(error.__cause__, errors.NotLeaderForPartitionError)
    assert (copy.copy(error).tp, copy.copy(error).record_count) == (tp, 12)


def test_buffer_timeout() -> None:
    error = errors.BufferTimeoutError(requested=500, available=20, total=1000, budget_ms=60)
    text = str(error)
    for fact in ("500 bytes", "20 of 1000", "60 ms"):
        assert fact in text
    assert isinstance(error, errors.KafkaTimeoutError)
    assert copy.copy(error).requested == 500


@pytest.mark.parametrize("cls", TIMEOUTS)
def test_no_cause_leaves_the_context_visible(cls: type[errors.KafkaError]) -> None:
    assert cls().__suppress_context__ is False
    assert cls().__cause__ is None
