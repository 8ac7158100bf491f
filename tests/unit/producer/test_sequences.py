"""Sequence numbers and epochs of one producer id; pure."""

from aiokafka.producer._sequences import MAX_EPOCH, PidAndEpoch, Sequences, signed_int32
from tests.unit.producer.lab import TP, TP1


class Batch:
    def __init__(self, record_count=1):
        self.record_count = record_count
        self.base_sequence = None
        self.sequence_ordinal = 0
        self.may_be_stored = False
        self.state = None

    def set_producer_state(self, pid, epoch, sequence):
        self.state = (pid, epoch, sequence)
        self.base_sequence = sequence

    def reset_producer_state(self):
        self.base_sequence = None
        self.may_be_stored = False


def started(may_restart=True):
    sequences = Sequences(may_restart=may_restart)
    sequences.new_identity(PidAndEpoch(7, 0))
    return sequences


def sent(sequences, tp=TP, count=1):
    batch = Batch(count)
    sequences.departs(tp, batch)
    return batch


def test_numbers_follow_the_record_count_and_are_kept_by_partition():
    sequences = started()
    states = [sent(sequences, count=3).state, sent(sequences, count=2).state]
    assert states == [(7, 0, 0), (7, 0, 3)]
    assert sequences.numbers == {TP: 5}
    assert sent(sequences, TP1).state == (7, 0, 0)


def test_numbers_wrap_as_the_protocol_wants():
    sequences = started()
    sequences.increment(TP, 2**31 - 2)
    assert sent(sequences, count=4).state == (7, 0, 2**31 - 2)
    # Java's int has overflowed in the table; on the wire 0 follows 2**31 - 1.
    assert sequences.numbers[TP] == signed_int32(2**31 + 2) < 0
    assert sent(sequences).state == (7, 0, 2)


def known(sequences, tp=TP):
    """Have the broker know the producer."""
    batch = sent(sequences, tp)
    sequences.arrived(tp)
    sequences.settled(tp, batch)
    return sequences.of(tp)


def test_the_first_batch_goes_alone():
    # From a producer it does not know a broker takes any number.
    sequences = started()
    first = sent(sequences)
    assert not sequences.of(TP).may_send_new(5)
    sequences.arrived(TP)
    sequences.settled(TP, first)
    assert sequences.of(TP).may_send_new(5)


def test_at_most_the_limit_in_flight():
    sequences = started()
    state = known(sequences)
    for _ in range(5):
        assert state.may_send_new(5)
        sent(sequences)
    assert not state.may_send_new(5)


def test_the_limit_counts_from_the_oldest_unsettled_batch():
    # Brokers remember five batches: behind an unsettled one no sixth may be stored.
    sequences = started()
    state = sequences.of(TP)
    first = sent(sequences)
    for _ in range(4):
        follower = sent(sequences)
        sequences.arrived(TP)
        sequences.settled(TP, follower)
    assert state.outstanding == [first]
    assert not state.may_send_new(5)


def test_a_batch_to_be_sent_again_goes_alone_and_oldest_first():
    sequences = started()
    state = sequences.of(TP)
    first, second = sent(sequences), sent(sequences)
    sequences.arrived(TP)
    assert not state.may_resend(first), "the second is on the wire"
    sequences.arrived(TP)
    assert state.may_resend(first)
    assert not state.may_resend(second)
    assert not state.may_send_new(5)


def test_out_of_order_behind_an_unsettled_batch_only_waits():
    sequences = started()
    first, second = sent(sequences), sent(sequences)
    assert sequences.rejected(TP, second)
    assert not sequences.of(TP).broken
    sequences.settled(TP, first)
    assert sequences.rejected(TP, second)
    assert sequences.of(TP).broken


def test_a_gap_restarts_the_sequence_under_the_next_epoch():
    sequences = started()
    first, second = sent(sequences, count=2), sent(sequences)
    sequences.lost(TP, first)
    state = sequences.of(TP)
    assert state.broken
    assert not state.may_send_new(5)
    sequences.rejected(TP, second)
    assert not state.can_restart, "both are still on the wire"
    sequences.arrived(TP)
    sequences.arrived(TP)
    assert state.can_restart
    assert sequences.restart(TP)
    assert second.base_sequence is None
    sequences.departs(TP, second)
    assert second.state == (7, 1, 0)
    # The other partitions keep their numbers; new ones begin under the new epoch.
    assert sent(sequences, TP1).state == (7, 1, 0)


def test_what_may_be_stored_is_asked_for_under_its_old_number_first():
    sequences = started()
    first, second = sent(sequences), sent(sequences)
    sequences.lost(TP, first)
    sequences.arrived(TP)
    sequences.arrived(TP)
    state = sequences.of(TP)
    # No answer came for the second: it can be in the log, if the first is.
    assert second.may_be_stored
    assert not state.can_restart
    assert state.may_resend(second)
    sequences.settled(TP, second)
    assert state.can_restart


def test_other_partitions_catch_up_with_the_epoch_when_they_restart():
    sequences = started()
    other = sent(sequences, TP1)
    for _ in range(3):
        batch = sent(sequences)
        sequences.lost(TP, batch)
        sequences.arrived(TP)
        assert sequences.restart(TP)
    assert sequences.identity == (7, 3)
    assert sequences.of(TP1).identity == (7, 0)
    sequences.lost(TP1, other)
    sequences.arrived(TP1)
    assert sequences.restart(TP1)
    assert sequences.of(TP1).identity == (7, 3)
    assert sequences.identity == (7, 3)


def test_used_up_epochs_need_another_id():
    sequences = started()
    sequences.new_identity(PidAndEpoch(7, MAX_EPOCH))
    batch = sent(sequences)
    sequences.lost(TP, batch)
    sequences.arrived(TP)
    assert not sequences.restart(TP)
    sequences.new_identity(PidAndEpoch(8, 0))
    assert not sequences.of(TP).broken
    assert sent(sequences).state == (8, 0, 0)


def test_a_new_id_waits_for_what_is_on_the_wire():
    sequences = started()
    batch = sent(sequences)
    sequences.new_identity(PidAndEpoch(8, 0))
    assert sequences.of(TP).identity == (7, 0)
    sequences.lost(TP, batch)
    sequences.arrived(TP)
    assert sequences.restart(TP)
    assert sequences.of(TP).identity == (8, 0)


def test_a_transaction_never_skips_a_batch():
    sequences = started(may_restart=False)
    batch = sent(sequences)
    assert not sequences.rejected(TP, batch)
    sequences.lost(TP, batch)
    assert not sequences.of(TP).broken


def test_a_batch_without_number_is_nobodys_loss():
    sequences = started()
    sequences.lost(TP, Batch())
    assert not sequences.of(TP).broken
