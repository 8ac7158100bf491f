"""Kafka's field names (in snake case) where aiokafka's classes have other ones.

Fields of equal type next to each other could be swapped without changing any layout; comparing
names as well rules that out.
"""

from __future__ import annotations

RENAMED: dict[str, dict[str, set[str]]] = {
    "AddPartitionsToTxnRequest": {
        "name": {"topic"},
        "v3_and_below_producer_epoch": {"producer_epoch"},
        "v3_and_below_producer_id": {"producer_id"},
        "v3_and_below_topics": {"topics"},
        "v3_and_below_transactional_id": {"transactional_id"},
    },
    "AddPartitionsToTxnResponse": {
        "name": {"topic"},
        "partition_error_code": {"error_code"},
        "partition_index": {"partition"},
        "results_by_partition": {"partition_errors"},
        "results_by_topic_v3_and_below": {"errors"},
    },
    "AlterConfigsRequest": {
        "configs": {"config_entries"},
        "name": {"config_name"},
        "value": {"config_value"},
    },
    "AlterConfigsResponse": {
        "responses": {"resources"},
    },
    "ApiVersionResponse": {
        "api_keys": {"api_versions"},
    },
    "CreateAclsResponse": {
        "results": {"creation_responses"},
    },
    "CreatePartitionsRequest": {
        "assignments": {"assignment"},
        "name": {"topic"},
        "timeout_ms": {"timeout"},
        "topics": {"topic_partitions"},
    },
    "CreatePartitionsResponse": {
        "name": {"topic"},
        "results": {"topic_errors"},
    },
    "CreateTopicsRequest": {
        "assignments": {"replica_assignment"},
        "broker_ids": {"replicas"},
        "name": {"config_key", "topic"},
        "partition_index": {"partition_id"},
        "timeout_ms": {"timeout"},
        "topics": {"create_topic_requests"},
        "value": {"config_value"},
    },
    "CreateTopicsResponse": {
        "name": {"config_name", "topic"},
        "topics": {"topic_errors"},
        "value": {"config_value"},
    },
    "DeleteAclsRequest": {
        "host_filter": {"host"},
        "pattern_type_filter": {"resource_pattern_type_filter"},
        "principal_filter": {"principal"},
        "resource_name_filter": {"resource_name"},
        "resource_type_filter": {"resource_type"},
    },
    "DeleteAclsResponse": {
        "filter_results": {"filter_responses"},
        "pattern_type": {"resource_pattern_type"},
    },
    "DeleteTopicsRequest": {
        "name": {"topic"},
        "timeout_ms": {"timeout"},
        "topic_names": {"topics"},
    },
    "DeleteTopicsResponse": {
        "name": {"topic"},
        "responses": {"topic_error_codes"},
    },
    "DescribeAclsRequest": {
        "host_filter": {"host"},
        "pattern_type_filter": {"resource_pattern_type_filter"},
        "principal_filter": {"principal"},
        "resource_name_filter": {"resource_name"},
        "resource_type_filter": {"resource_type"},
    },
    "DescribeAclsResponse": {
        "pattern_type": {"resource_pattern_type"},
    },
    "DescribeClientQuotasResponse": {
        "key": {"name"},
    },
    "DescribeConfigsRequest": {
        "configuration_keys": {"config_names"},
    },
    "DescribeConfigsResponse": {
        "configs": {"config_entries"},
        "name": {"config_name", "config_names"},
        "results": {"resources"},
        "source": {"config_source"},
        "synonyms": {"config_synonyms"},
        "value": {"config_value"},
    },
    "DescribeGroupsResponse": {
        "group_id": {"group"},
        "group_state": {"state"},
        "protocol_data": {"protocol"},
    },
    "EndTxnRequest": {
        "committed": {"transaction_result"},
    },
    "FetchRequest": {
        "fetch_offset": {"offset"},
        "max_wait_ms": {"max_wait_time"},
        "partition_max_bytes": {"max_bytes"},
    },
    "FetchResponse": {
        "high_watermark": {"highwater_offset"},
        "partition_index": {"partition"},
        "records": {"message_set"},
        "responses": {"topics"},
        "topic": {"topics"},
    },
    "FindCoordinatorRequest": {
        "key": {"consumer_group", "coordinator_key"},
        "key_type": {"coordinator_type"},
    },
    "FindCoordinatorResponse": {
        "node_id": {"coordinator_id"},
    },
    "HeartbeatRequest": {
        "group_id": {"group"},
    },
    "JoinGroupRequest": {
        "group_id": {"group"},
        "metadata": {"protocol_metadata"},
        "name": {"protocol_name"},
        "protocols": {"group_protocols"},
        "rebalance_timeout_ms": {"rebalance_timeout"},
        "session_timeout_ms": {"session_timeout"},
    },
    "JoinGroupResponse": {
        "leader": {"leader_id"},
        "metadata": {"member_metadata"},
        "protocol_name": {"group_protocol"},
    },
    "LeaveGroupRequest": {
        "group_id": {"group"},
    },
    "ListGroupsResponse": {
        "group_id": {"group"},
    },
    "ListPartitionReassignmentsRequest": {
        "partition_indexes": {"partition_index"},
    },
    "MetadataRequest": {
        "name": {"topic"},
    },
    "MetadataResponse": {
        "isr_nodes": {"isr"},
        "leader_id": {"leader"},
        "name": {"topic"},
        "partition_index": {"partition"},
        "replica_nodes": {"replicas"},
        "topic_authorized_operations": {"authorized_operations"},
    },
    "OffsetCommitRequest": {
        "committed_leader_epoch": {"leader_epoch"},
        "committed_metadata": {"metadata"},
        "committed_offset": {"offset"},
        "generation_id_or_member_epoch": {"consumer_group_generation_id"},
        "group_id": {"consumer_group"},
        "member_id": {"consumer_id"},
        "name": {"topic"},
        "partition_index": {"partition"},
        "retention_time_ms": {"retention_time"},
    },
    "OffsetCommitResponse": {
        "name": {"topic"},
        "partition_index": {"partition"},
    },
    "OffsetFetchRequest": {
        "group_id": {"consumer_group"},
        "name": {"topic"},
        "partition_indexes": {"partitions"},
    },
    "OffsetFetchResponse": {
        "committed_leader_epoch": {"leader_epoch"},
        "committed_offset": {"offset"},
        "name": {"topic"},
        "partition_index": {"partition"},
    },
    "OffsetRequest": {
        "name": {"topic"},
        "partition_index": {"partition"},
    },
    "OffsetResponse": {
        "name": {"topic"},
        "partition_index": {"partition"},
    },
    "ProduceRequest": {
        "acks": {"required_acks"},
        "index": {"partition"},
        "name": {"topic"},
        "partition_data": {"partitions"},
        "records": {"messages"},
        "timeout_ms": {"timeout"},
        "topic_data": {"topics"},
    },
    "ProduceResponse": {
        "base_offset": {"offset"},
        "index": {"partition"},
        "log_append_time_ms": {"timestamp"},
        "name": {"topic"},
        "partition_responses": {"partitions"},
        "responses": {"topics"},
    },
    "SaslAuthenticateRequest": {
        "auth_bytes": {"sasl_auth_bytes"},
    },
    "SaslAuthenticateResponse": {
        "auth_bytes": {"sasl_auth_bytes"},
    },
    "SaslHandShakeResponse": {
        "mechanisms": {"enabled_mechanisms"},
    },
    "SyncGroupRequest": {
        "assignment": {"member_metadata"},
        "assignments": {"group_assignment"},
        "group_id": {"group"},
    },
    "SyncGroupResponse": {
        "assignment": {"member_assignment"},
    },
    "TxnOffsetCommitRequest": {
        "committed_leader_epoch": {"leader_epoch"},
        "committed_metadata": {"metadata"},
        "committed_offset": {"offset"},
        "name": {"topic"},
        "partition_index": {"partition"},
    },
    "TxnOffsetCommitResponse": {
        "name": {"topic"},
        "partition_index": {"partition"},
        "partitions": {"partition_errors"},
        "topics": {"errors"},
    },
}
