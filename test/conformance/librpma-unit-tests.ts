// SPDX-License-Identifier: BSD-3-Clause
//
// The names of librpma's unit tests, all 695, by executable: <function>__<case>. Which of them can
// be seen from outside, and what shows them here, is in librpma-subset.ts.

/** Names by executable; white space separates them. Some executables have a name twice. */
export const unitTests: Readonly<Record<string, string>> = {
  'conn/conn-apply_remote_peer_cfg': `
    apply_remote_peer_cfg__conn_NULL apply_remote_peer_cfg__pcfg_NULL
    apply_remote_peer_cfg__conn_pcfg_NULL apply_remote_peer_cfg__success
  `,
  'conn/conn-atomic_write': `
    atomic_write__conn_NULL atomic_write__dst_NULL atomic_write__src_NULL atomic_write__flags_0
    atomic_write__dst_offset_unaligned
    atomic_write__conn_dst_src_NULL_flags_0_dst_offset_unaligned atomic_write__success
  `,
  'conn/conn-disconnect': `
    disconnect__conn_NULL disconnect__rdma_disconnect_ERRNO disconnect__success
  `,
  'conn/conn-flush': `
    flush__conn_NULL flush__dst_NULL flush__flags_0 flush__conn_dst_NULL_flags_0
    flush__FLUSH_PERSISTENT_NO_DIRECT_WRITE flush__FLUSH_PERSISTENT_USAGE_EMPTY
    flush__FLUSH_PERSISTENT_USAGE_VISIBILITY flush__FLUSH_VISIBILITY_USAGE_EMPTY
    flush__FLUSH_VISIBILITY_USAGE_PERSISTENT flush__success_FLUSH_TYPE_VISIBILITY
    flush__success_FLUSH_TYPE_PERSISTENT
  `,
  'conn/conn-get_compl_fd': `
    get_compl_fd__conn_NULL get_compl_fd__fd_ptr_NULL get_compl_fd__conn_fd_NULL
    get_compl_fd__E_NOT_SHARED_CHNL get_compl_fd__success
  `,
  'conn/conn-get_cq_rcq': `
    get_cq__conn_NULL get_cq__cq_ptr_NULL get_cq__success__no_rcq_no_channel
    get_cq__success__no_rcq_with_channel get_cq__success__with_rcq_no_channel
    get_cq__success__with_rcq_with_channel get_rcq__conn_NULL get_rcq__rcq_ptr_NULL
    get_rcq__success__no_rcq_no_channel get_rcq__success__no_rcq_with_channel
    get_rcq__success__with_rcq_no_channel get_rcq__success__with_rcq_with_channel
  `,
  'conn/conn-get_event_fd': `
    get_event_fd__conn_NULL get_event_fd__fd_NULL get_event_fd__conn_fd_NULL get_event_fd__success
  `,
  'conn/conn-get_qp_num': `
    get_qp_num__conn_NULL get_qp_num__qp_num_NULL get_qp_num__conn_qp_num_NULL get_qp_num__success
    get_qp_num__success_after_disconnect
  `,
  'conn/conn-new': `
    new__peer_NULL new__id_NULL new__cq_NULL new__conn_ptr_NULL new__peer_id_cq_conn_ptr_NULL
    new__create_evch_ERRNO new__migrate_id_ERRNO new__flush_E_NOMEM new__malloc_ERRNO
    conn_test_lifecycle__no_rcq_no_channel conn_test_lifecycle__no_rcq_with_channel
    conn_test_lifecycle__with_rcq_no_channel conn_test_lifecycle__with_rcq_with_channel
    delete__conn_ptr_NULL delete__conn_NULL delete__flush_delete_ERRNO__no_rcq_no_channel
    delete__flush_delete_ERRNO__no_rcq_with_channel
    delete__flush_delete_ERRNO__with_rcq_no_channel
    delete__flush_delete_ERRNO__with_rcq_with_channel
    delete__flush_delete_E_INVAL__no_rcq_no_channel
    delete__flush_delete_E_INVAL__no_rcq_with_channel
    delete__flush_delete_E_INVAL__with_rcq_no_channel
    delete__flush_delete_E_INVAL__with_rcq_with_channel delete__rcq_delete_ERRNO
    delete__rcq_delete_ERRNO_subsequent_ERRNO2 delete__cq_delete_ERRNO__no_rcq_no_channel
    delete__cq_delete_ERRNO__no_rcq_with_channel delete__cq_delete_ERRNO__with_rcq_no_channel
    delete__cq_delete_ERRNO__with_rcq_with_channel
    delete__cq_delete_ERRNO_subsequent_ERRNO2__no_rcq_no_channel
    delete__cq_delete_ERRNO_subsequent_ERRNO2__no_rcq_with_channel
    delete__cq_delete_ERRNO_subsequent_ERRNO2__with_rcq_no_channel
    delete__cq_delete_ERRNO_subsequent_ERRNO2__with_rcq_with_channel
    delete__destroy_id_ERRNO__no_rcq_no_channel delete__destroy_id_ERRNO__no_rcq_with_channel
    delete__destroy_id_ERRNO__with_rcq_no_channel delete__destroy_id_ERRNO__with_rcq_with_channel
    delete__ibv_destroy_comp_channel_E_PROVIDER__no_rcq_no_channel
    delete__ibv_destroy_comp_channel_E_PROVIDER__no_rcq_with_channel
    delete__ibv_destroy_comp_channel_E_PROVIDER__with_rcq_no_channel
    delete__ibv_destroy_comp_channel_E_PROVIDER__with_rcq_with_channel
  `,
  'conn/conn-next_event': `
    next_event__conn_NULL next_event__event_NULL next_event__conn_NULL_event_NULL
    next_event__get_cm_event_ERRNO next_event__get_cm_event_ENODATA next_event__event__ADDR_ERROR
    next_event__event_UNREACHABLE_ack_ERRNO next_event__data_store_E_NOMEM
    next_event__success_no_data_ESTABLISHED_no_data
    next_event__success_no_data_ESTABLISHED_with_data
    next_event__success_with_data_ESTABLISHED_no_data
    next_event__success_with_data_ESTABLISHED_with_data next_event__success_CONNECT_ERROR
    next_event__success_DEVICE_REMOVAL next_event__success_DISCONNECTED
    next_event__success_TIMEWAIT_EXIT next_event__success_REJECTED next_event__success_UNREACHABLE
  `,
  'conn/conn-private_data': `
    transfer_private_data__success get_private_data__conn_NULL get_private_data__pdata_NULL
    get_private_data__conn_NULL_pdata_NULL
  `,
  'conn/conn-read': `
    read__conn_NULL read__dst_NULL read__src_NULL_dst_not_NULL read__src_NULL_dst_offset_not_NULL
    read__src_NULL_src_offset_not_NULL read__src_NULL_len_not_NULL
    read__src_NULL_dst_offsets_len_not_NULL read__flags_0 read__conn_dst_NULL_flags_0
    read__success
  `,
  'conn/conn-recv': `
    recv__conn_NULL recv__dst_NULL_offset_not_NULL recv__dst_NULL_len_not_NULL
    recv__dst_NULL_offset_len_not_NULL recv__success
  `,
  'conn/conn-send': `
    send__src_NULL_offset_not_NULL send__src_NULL_len_not_NULL send__src_NULL_offset_len_not_NULL
    send__conn_NULL send__flags_0 send__conn_NULL_flags_0 send__success
  `,
  'conn/conn-send_with_imm': `
    send_with_imm__src_NULL_offset_not_NULL send_with_imm__src_NULL_len_not_NULL
    send_with_imm__src_NULL_offset_len_not_NULL send_with_imm__conn_NULL send_with_imm__flags_0
    send_with_imm__conn_NULL_flags_0 send_with_imm__success
  `,
  'conn/conn-wait': `
    wait__conn_NULL wait__cq_NULL wait__channel_not_shared wait__get_cq_event_ERRNO
    wait__get_cq_event_UNKNOWN wait__req_notify_cq_ERRNO wait__success_is_rcq_NULL wait__success
  `,
  'conn/conn-write': `
    write__conn_NULL write__dst_NULL write__src_NULL_dst_not_NULL
    write__src_NULL_dst_offset_not_NULL write__src_NULL_src_offset_not_NULL
    write__src_NULL_len_not_NULL write__src_NULL_dst_offsets_len_not_NULL write__flags_0
    write__conn_dst_NULL_flags_0 write__success
  `,
  'conn/conn-write_with_imm': `
    write_with_imm__conn_NULL write_with_imm__dst_NULL write_with_imm__src_NULL_dst_not_NULL
    write_with_imm__src_NULL_dst_offset_not_NULL write_with_imm__src_NULL_src_offset_not_NULL
    write_with_imm__src_NULL_len_not_NULL write_with_imm__src_NULL_dst_offsets_len_not_NULL
    write_with_imm__flags_0 write_with_imm__conn_dst_NULL_flags_0 write_with_imm__success
  `,
  'conn_cfg/conn_cfg-compl_channel': `
    set__cfg_NULL get__cfg_NULL get__shared_NULL get_default__success compl_channel__lifecycle
  `,
  'conn_cfg/conn_cfg-cq_size': `
    set__cfg_NULL get__cfg_NULL get__cq_size_NULL cq_size__lifecycle
  `,
  'conn_cfg/conn_cfg-cqe': `
    cqe__lifecycle cqe__clipped
  `,
  'conn_cfg/conn_cfg-delete': `
    delete__cfg_ptr_NULL delete__cfg_NULL
  `,
  'conn_cfg/conn_cfg-new': `
    new__cfg_ptr_NULL new__malloc_ERRNO new__success
  `,
  'conn_cfg/conn_cfg-rcq_size': `
    set__cfg_NULL get__cfg_NULL get__rcq_size_NULL rcq_size__lifecycle
  `,
  'conn_cfg/conn_cfg-rcqe': `
    rcqe__lifecycle rcqe__clipped
  `,
  'conn_cfg/conn_cfg-rq_size': `
    set__cfg_NULL get__cfg_NULL get__rq_size_NULL rq_size__lifecycle
  `,
  'conn_cfg/conn_cfg-sq_size': `
    set__cfg_NULL get__cfg_NULL get__sq_size_NULL sq_size__lifecycle
  `,
  'conn_cfg/conn_cfg-srq': `
    set__cfg_NULL get__cfg_NULL get__srq_ptr_NULL srq__lifecycle
  `,
  'conn_cfg/conn_cfg-timeout': `
    set__cfg_NULL set__timeout_negative get__cfg_NULL get__timeout_NULL timeout__lifecycle
  `,
  'conn_req/connect': `
    connect__req_ptr_NULL connect__req_NULL connect__conn_ptr_NULL
    connect__pdata_NULL_pdata_ptr_NULL connect__pdata_NULL_pdata_len_0
    connect__pdata_NULL_pdata_ptr_NULL_len_0 connect_via_accept__accept_ERRNO__without_rcq
    connect_via_accept__accept_ERRNO__with_rcq
    connect_via_accept__accept_ERRNO_subsequent_ERRNO2__without_rcq
    connect_via_accept__accept_ERRNO_subsequent_ERRNO2__with_rcq
    connect_via_accept__conn_new_ERRNO__without_rcq connect_via_accept__conn_new_ERRNO__with_rcq
    connect_via_accept__conn_new_ERRNO_subsequent_ERRNO2__without_rcq
    connect_via_accept__conn_new_ERRNO_subsequent_ERRNO2__with_rcq
    connect_via_accept__success_incoming__without_rcq
    connect_via_accept__success_incoming__with_rcq connect_via_connect__connect_ERRNO__without_rcq
    connect_via_connect__connect_ERRNO__with_rcq
    connect_via_connect__connect_ERRNO_subsequent_ERRNO2__without_rcq
    connect_via_connect__connect_ERRNO_subsequent_ERRNO2__with_rcq
    connect_via_connect__conn_new_ERRNO__without_rcq connect_via_connect__conn_new_ERRNO__with_rcq
    connect_via_connect__conn_new_ERRNO_subsequent_ERRNO2__without_rcq
    connect_via_connect__conn_new_ERRNO_subsequent_ERRNO2__with_rcq
    connect_via_connect__success_outgoing__without_rcq
    connect_via_connect__success_outgoing__with_rcq
    connect_via_connect_with_pdata__success_outgoing__without_rcq
    connect_via_connect_with_pdata__success_outgoing__with_rcq
  `,
  'conn_req/delete': `
    delete__req_ptr_NULL delete__req_NULL delete_via_reject__rcq_delete_ERRNO
    delete_via_reject__rcq_delete_ERRNO_subsequent_ERRNO2
    delete_via_reject__cq_delete_ERRNO__without_rcq delete_via_reject__cq_delete_ERRNO__with_rcq
    delete_via_reject__cq_delete_ERRNO_subsequent_ERRNO2__without_rcq
    delete_via_reject__cq_delete_ERRNO_subsequent_ERRNO2__with_rcq
    delete_via_reject__reject_ERRNO__without_rcq delete_via_reject__reject_ERRNO__with_rcq
    delete_via_reject__reject_ERRNO_ack_ERRNO2__without_rcq
    delete_via_reject__reject_ERRNO_ack_ERRNO2__with_rcq
    delete_via_reject__ibv_destroy_comp_channel_ERRNO delete_via_reject__ack_ERRNO_ibv_ERRNO2
    delete_via_destroy__rcq_delete_ERRNO delete_via_destroy__rcq_delete_ERRNO_subsequent_ERRNO2
    delete_via_destroy__cq_delete_ERRNO__without_rcq delete_via_destroy__cq_delete_ERRNO__with_rcq
    delete_via_destroy__cq_delete_ERRNO_subsequent_ERRNO2__without_rcq
    delete_via_destroy__cq_delete_ERRNO_subsequent_ERRNO2__with_rcq
    delete_via_destroy__destroy_id_ERRNO__without_rcq
    delete_via_destroy__destroy_id_ERRNO__with_rcq
    delete_via_destroy__ibv_destroy_comp_channel_ERRNO delete_via_destroy__rdma_ERRNO_ibv_ERRNO2
  `,
  'conn_req/new': `
    new__peer_NULL new__addr_NULL new__port_NULL new__req_ptr_NULL new__all_NULL
    new__info_new_ERRNO new__create_id_ERRNO new__resolve_addr_ERRNO
    new__resolve_addr_ERRNO_subsequent_ERRNO2 new__resolve_route_ERRNO
    new__resolve_route_ERRNO_subsequent_ERRNO2 new__shared_true_srq_rcq_not_NULL
    new__cq_new_ERRNO__without_rcq new__cq_new_ERRNO__with_rcq new__cq_new_ERRNO__without_srq_rcq
    new__cq_new_ERRNO__with_srq_rcq new__cq_new_ERRNO_subsequent_ERRNO2__without_rcq
    new__cq_new_ERRNO_subsequent_ERRNO2__with_rcq
    new__cq_new_ERRNO_subsequent_ERRNO2__without_srq_rcq
    new__cq_new_ERRNO_subsequent_ERRNO2__with_srq_rcq new__rcq_new_ERRNO
    new__rcq_new_ERRNO_subsequent_ERRNO2 new__peer_create_qp_ERRNO__without_rcq
    new__peer_create_qp_ERRNO__with_rcq new__peer_create_qp_ERRNO__without_srq_rcq
    new__peer_create_qp_ERRNO__with_srq_rcq
    new__peer_create_qp_ERRNO_subsequent_ERRNO2__without_rcq
    new__peer_create_qp_ERRNO_subsequent_ERRNO2__with_rcq
    new__peer_create_qp_ERRNO_subsequent_ERRNO2__without_srq_rcq
    new__peer_create_qp_ERRNO_subsequent_ERRNO2__with_srq_rcq new__malloc_ERRNO__without_rcq
    new__malloc_ERRNO__with_rcq new__malloc_ERRNO__without_srq_rcq new__malloc_ERRNO__with_srq_rcq
    new__malloc_ERRNO_subsequent_ERRNO2__without_rcq new__malloc_ERRNO_subsequent_ERRNO2__with_rcq
    new__malloc_ERRNO_subsequent_ERRNO2__without_srq_rcq
    new__malloc_ERRNO_subsequent_ERRNO2__with_srq_rcq new__success__without_rcq
    new__success__with_rcq new__success__without_srq_rcq new__success__with_srq_rcq
  `,
  'conn_req/new_from_cm_event': `
    from_cm_event__peer_NULL from_cm_event__edata_NULL from_cm_event__req_ptr_NULL
    from_cm_event__peer_NULL_edata_NULL_req_ptr_NULL from_cm_event__RDMA_CM_EVENT_CONNECT_ERROR
    from_cm_event__shared_true_srq_rcq_not_NULL from_cm_event__ibv_create_comp_channel_ERRNO
    from_cm_event__ibv_create_comp_channel_ERRNO_rdma_ack_cm_event_ERRNO2
    from_cm_event__cq_new_ERRNO__without_rcq from_cm_event__cq_new_ERRNO__with_rcq
    from_cm_event__cq_new_ERRNO__without_srq_rcq from_cm_event__cq_new_ERRNO__with_rcq
    from_cm_event__rcq_new_ERRNO from_cm_event__peer_create_qp_ERRNO__without_rcq
    from_cm_event__peer_create_qp_ERRNO__with_rcq
    from_cm_event__peer_create_qp_ERRNO__without_srq_rcq
    from_cm_event__peer_create_qp_ERRNO__with_rcq
    from_cm_event__create_qp_ERRNO_subsequent_ERRNO2__without_rcq
    from_cm_event__create_qp_ERRNO_subsequent_ERRNO2__with_rcq
    from_cm_event__create_qp_ERRNO_subsequent_ERRNO2__without_srq_rcq
    from_cm_event__create_qp_ERRNO_subsequent_ERRNO2__with_rcq
    from_cm_event__malloc_ERRNO__without_rcq from_cm_event__malloc_ERRNO__with_rcq
    from_cm_event__malloc_ERRNO__without_srq_rcq from_cm_event__malloc_ERRNO__with_rcq
    from_cm_event__malloc_ERRNO_subsequent_ERRNO2__without_rcq
    from_cm_event__malloc_ERRNO_subsequent_ERRNO2__with_rcq
    from_cm_event__malloc_ERRNO_subsequent_ERRNO2__without_srq_rcq
    from_cm_event__malloc_ERRNO_subsequent_ERRNO2__with_rcq
    from_cm_event__private_data_store_E_NOMEM__without_rcq
    from_cm_event__private_data_store_E_NOMEM__with_rcq
    from_cm_event__private_data_store_E_NOMEM__without_srq_rcq
    from_cm_event__private_data_store_E_NOMEM__with_rcq
    from_cm_event__private_data_store_E_NOMEM_subsequent_ERRNO2__without_rcq
    from_cm_event__private_data_store_E_NOMEM_subsequent_ERRNO2__with_rcq
    from_cm_event__private_data_store_E_NOMEM_subsequent_ERRNO2__without_srq_rcq
    from_cm_event__private_data_store_E_NOMEM_subsequent_ERRNO2__with_rcq
    conn_req_new_from_cm__lifecycle__without_rcq conn_req_new_from_cm__lifecycle__with_rcq
    conn_req_new_from_cm__lifecycle__without_srq_rcq conn_req_new_from_cm__lifecycle__with_rcq
  `,
  'conn_req/private_data': `
    get_private_data__conn_req_NULL get_private_data__success__without_rcq
    get_private_data__success__with_rcq get_private_data__pdata_NULL__without_rcq
    get_private_data__pdata_NULL__with_rcq
  `,
  'conn_req/recv': `
    recv__req_NULL recv__dst_NULL recv__req_dst_NULL recv__success
  `,
  'cq/cq-get_fd': `
    get_fd__cq_NULL get_fd__fd_NULL get_fd__success
  `,
  'cq/cq-get_ibv_cq': `
    get_ibv_cq__success
  `,
  'cq/cq-get_wc': `
    get_wc__cq_NULL get_wc__num_entries_non_positive get_wc__wc_NULL
    get_wc__num_entries_2_num_entries_got_NULL get_wc__poll_cq_fail get_wc__poll_cq_no_data
    get_wc__poll_cq_more_data get_wc__success_each_opcode get_wc__success_all_opcodes
  `,
  'cq/cq-new_delete': `
    new__create_comp_channel_ERRNO new__create_cq_ERRNO new__create_cq_ERRNO_subsequent_ERRNO2
    new__req_notify_cq_ERRNO new__req_notify_cq_ERRNO_subsequent_ERRNO2 new__malloc_ERRNO
    new__malloc_ERRNO_subsequent_ERRNO2 test_lifecycle delete__cq_NULL delete__destroy_cq_ERRNO
    delete__destroy_cq_ERRNO_subsequent_ERRNO2 delete__destroy_comp_channel_ERRNO
  `,
  'cq/cq-wait': `
    wait__cq_NULL wait__E_SHARED_CHANNEL wait__get_cq_event_ERRNO wait__req_notify_cq_ERRNO
    wait__success
  `,
  'ep/ep-get_fd': `
    get_fd__ep_NULL get_fd__fd_NULL get_fd__ep_fd_NULL get_fd__success
  `,
  'ep/ep-listen': `
    listen__peer_NULL listen__addr_NULL listen__port_NULL listen__ep_ptr_NULL
    listen__peer_addr_port_ep_ptr_NULL listen__create_evch_ERRNO listen__create_id_ERRNO
    listen__info_new_E_NOMEM listen__info_bind_addr_E_PROVIDER listen__listen_ERRNO
    listen__malloc_ERRNO listen__malloc_ERRNO_destroy_id_ERRNO2 ep__lifecycle
    shutdown__ep_ptr_NULL shutdown__ep_NULL shutdown__destroy_id_ERRNO
  `,
  'ep/ep-next_conn_req': `
    next_conn_req__ep_NULL next_conn_req__req_NULL next_conn_req__ep_NULL_req_NULL
    next_conn_req__get_cm_event_ERRNO next_conn_req__get_cm_event_ENODATA
    next_conn_req__event_REJECTED next_conn_req__event_REJECTED_ack_ERRNO
    next_conn_req__from_cm_event_E_NOMEM next_conn_req__from_cm_event_E_NOMEM_ack_ERRNO
    next_conn_req__rdma_ack_cm_event_ERRNO next_conn_req__success_conn_cfg_default
    next_conn_req__success_conn_cfg_custom
  `,
  'error/error': `
    err_2str__SUCCESS err_2str__E_NOSUPP err_2str__E_PROVIDER err_2str__E_NOMEM err_2str__E_INVAL
    err_2str__E_NO_COMPLETION err_2str__E_NO_NEXT err_2str__E_AGAIN err_2str__E_SHARED_CHANNEL
    err_2str__E_NOT_SHARED_CHNL err_2str__E_UNKNOWN
  `,
  'flush/flush-execute': `
    apm_execute__success
  `,
  'flush/flush-new': `
    new__malloc_ERRNO new__apm_sysconf_ERRNO new__apm_mmap_MAP_FAILED
    new__apm_mr_reg_E_NOMEM_munmap_ERRNO new__apm_malloc_ERRNO new__apm_success
    delete__apm_dereg_ERRNO delete__apm_munmap_ERRNO
  `,
  'info/info-bind_addr': `
    bind_addr__id_NULL bind_addr__info_NULL bind_addr__id_info_NULL bind_addr__bind_addr_ERRNO
    bind_addr__success
  `,
  'info/info-new': `
    new__addr_NULL new__info_ptr_NULL new__addr_port_info_ptr_NULL new__getaddrinfo_ERRNO_ACTIVE
    new__getaddrinfo_ERRNO_PASSIVE new__malloc_ERRNO new__lifecycle delete__info_ptr_NULL
    delete__null_info
  `,
  'info/info-resolve_addr': `
    resolve_addr__resolve_addr_ERRNO resolve_addr__success
  `,
  'librpma_constructor/librpma_constructor': `
    init__success fini__success
  `,
  'log/log-init-fini': `
    init_fini__lifecycle
  `,
  'log/log-init-fini-DEBUG': `
    init_fini__lifecycle
  `,
  'log/log-macros': `
    RPMA_LOG_DISABLED RPMA_LOG_LEVEL_FATAL RPMA_LOG_LEVEL_ERROR RPMA_LOG_LEVEL_WARNING
    RPMA_LOG_LEVEL_NOTICE RPMA_LOG_LEVEL_INFO RPMA_LOG_LEVEL_DEBUG
  `,
  'log/log-threshold': `
    set_threshold__threshold_invalid set_threshold__level_invalid
    set_threshold__threshold_level_invalid get_threshold__threshold_invalid
    get_threshold__level_invalid get_threshold__threshold_level_invalid threshold_lifecycle
  `,
  'log_default/log_default-function': `
    function__RPMA_LOG_DISABLED function__vsnprintf_fail function__snprintf_fail
    function__syslog_no_path function__syslog_path_relative function__syslog_path_absolute
    function__stderr_path_gettime_error function__stderr_path_localtime_r_error
    function__stderr_path_strftime_error function__stderr_path_snprintf_no_eol
    function__stderr_path function__stderr_no_path function__stderr_no_path_ALWAYS
  `,
  'log_default/log_default-init-fini': `
    init__normal fini__normal
  `,
  'mr/mr-advise': `
    advise__failed_E_NOSUPP advise__failed_E_INVAL advise__failed_E_PROVIDER advise__success
  `,
  'mr/mr-atomic_write': `
    atomic_write__COMPL_ON_ERROR_failed_E_PROVIDER
    atomic_write__COMPL_ON_SUCCESS_failed_E_PROVIDER atomic_write__COMPLETION_ALWAYS_success
    atomic_write__COMPLETION_ON_ERROR_success
  `,
  'mr/mr-descriptor': `
    get_descriptor_size__mr_NULL get_descriptor_size__desc_size_NULL
    get_descriptor_size__mr_desc_size_NULL get_descriptor_size__success get_descriptor__mr_NULL
    get_descriptor__desc_NULL get_descriptor__mr_NULL_desc_NULL get_descriptor__desc_alignment
    remote_from_descriptor__desc_NULL remote_from_descriptor__mr_ptr_NULL
    remote_from_descriptor__mr_ptr_NULL_desc_NULL remote_from_descriptor__invalid_desc_size
    remote_from_descriptor__malloc_ERRNO remote_from_descriptor__buff_usage_equal_zero
    remote_from_descriptor__desc_alignment remote_delete__mr_ptr_NULL remote_delete__mr_NULL
    remote_get_size__mr_ptr_NULL remote_get_size__size_NULL remote_get_size__mr_ptr_NULL_size_NULL
    remote_get_size__success
  `,
  'mr/mr-get_flush_type': `
    remote_get_flush_type__mr_NULL remote_get_flush_type__flush_type_NULL
    remote_get_flush_type__mr_NULL_flush_type_NULL remote_get_flush_type__success
  `,
  'mr/mr-local': `
    get_size__mr_NULL get_size__size_NULL get_size__mr_size_NULL get_size__success
    get_ptr__mr_NULL get_ptr__ptr_NULL get_ptr__mr_ptr_NULL get_ptr__success
  `,
  'mr/mr-read': `
    read__COMPL_ALWAYS_failed_E_PROVIDER read__COMPL_ON_ERROR_failed_E_PROVIDER read__success
    read_0B_message__success
  `,
  'mr/mr-recv': `
    recv__failed_E_PROVIDER recv__success recv_0B_message__success
  `,
  'mr/mr-reg': `
    reg__NULL_peer reg__NULL_ptr reg__NULL_mr_ptr reg__NULL_peer_ptr_mr_ptr reg__0_size
    reg__0_usage reg__wrong_usage reg__malloc_ERRNO reg__peer_mr_reg_ERRNO reg_dereg__success
    dereg__NULL_mr_ptr dereg__NULL_mr dereg__dereg_mr_ERRNO
  `,
  'mr/mr-send': `
    send__failed_E_NOSUPP send__failed_E_PROVIDER send__success send_0B_message__success
  `,
  'mr/mr-srq_recv': `
    recv__failed_E_PROVIDER recv__success recv_0B_message__success
  `,
  'mr/mr-write': `
    write__failed_E_NOSUPP write__COMPL_ALWAYS_failed_E_PROVIDER
    write__COMPL_ON_ERROR_failed_E_PROVIDER write__success write_0B_message__success
  `,
  'peer/peer-create_qp': `
    create_qp__peer_NULL create_qp__id_NULL create_qp__cq_NULL create_qp__rdma_create_qp_ex_ERRNO
    create_qp__success
  `,
  'peer/peer-create_srq': `
    create_srq__ibv_create_srq_ERRNO create_srq__rpma_cq_new_ERRNO
    create_srq__rpma_cq_new_ERRNO_subsequent_ERRNO2 create_srq__success
  `,
  'peer/peer-mr_reg': `
    mr_reg__reg_mr_ERRNO_no_odp mr_reg__reg_mr_ERRNO_odp mr_reg__reg_mr_EOPNOTSUPP_no_odp
    mr_reg__reg_mr_EOPNOTSUPP_ERRNO mr_reg__USAGE_READ_SRC_IB mr_reg__USAGE_READ_SRC_iWARP
    mr_reg__USAGE_READ_DST_IB mr_reg__USAGE_READ_DST_iWARP mr_reg__USAGE_WRITE_SRC_IB
    mr_reg__USAGE_WRITE_SRC_iWARP mr_reg__USAGE_WRITE_DST_IB mr_reg__USAGE_WRITE_DST_iWARP
    mr_reg__USAGE_RECV_IB mr_reg__USAGE_RECV_iWARP
    mr_reg__USAGE_FLUSH_TYPE_VISIBILITY_OR_PERSISTENT_IB
    mr_reg__USAGE_FLUSH_TYPE_VISIBILITY_OR_PERSISTENT_iWARP mr_reg__success_odp
  `,
  'peer/peer-new': `
    new__ibv_ctx_eq_NULL new__peer_ptr_eq_NULL new__ibv_ctx_and_peer_ptr_eq_NULL
    new__alloc_pd_ENOMEM new__alloc_pd_ERRNO new__alloc_pd_no_error new__odp_ERRNO
    new__atomic_write_ERRNO new__flush_ERRNO new__malloc_ERRNO new__success
    delete__invalid_peer_ptr delete__null_peer delete__dealloc_pd_ERRNO
  `,
  'peer_cfg/peer_cfg-delete': `
    delete__pcfg_NULL delete__cfg_NULL
  `,
  'peer_cfg/peer_cfg-descriptor': `
    get_desc_size__pcfg_NULL get_desc_size__desc_size_NULL get_desc_size__pcfg_desc_size_NULL
    get_desc_size__success get_desc__pcfg_NULL get_desc__desc_NULL get_desc__pcfg_desc_NULL
    get_desc__lifecycle from_desc__desc_NULL from_desc__pcfg_ptr_NULL
    from_desc__pcfg_ptr_desc_NULL from_desc__incorrect_desc_size from_desc__malloc_ERRNO
    from_desc__success
  `,
  'peer_cfg/peer_cfg-direct_write_to_pmem': `
    set_dw2p__pcfg_NULL get_dw2p__pcfg_NULL get_dw2p__supported_NULL get_dw2p__pcfg_supported_NULL
    direct_write_to_pmem__lifecycle
  `,
  'peer_cfg/peer_cfg-new': `
    new__pcfg_NULL new__malloc_ERRNO new__success
  `,
  'private_data/private_data-store': `
    store__data_NULL store__data_len_0 store__data_NULL_data_len_0 store__malloc_ERRNO
    test_lifecycle
  `,
  'srq/srq-get_ibv_srq': `
    get_ibv_srq__success
  `,
  'srq/srq-get_rcq': `
    get_rcq__srq_NULL get_rcq__rcq_ptr_NULL get_rcq__success__without_cfg
  `,
  'srq/srq-new_delete': `
    new__peer_NULL new__srq_ptr_NULL new__rpma_peer_create_srq_ERRNO__without_cfg
    new__malloc_ERRNO__without_cfg new__malloc_ERRNO__with_cfg
    new__malloc_ERRNO_subsequent_ERRNO2__without_cfg test_lifecycle__without_cfg
    test_lifecycle__with_cfg delete__srq_ptr_NULL delete__srq_NULL
    delete__rpma_cq_delete_ERRNO__without_cfg
    delete__rpma_cq_delete_ERRNO_subsequent_ERRNO2__without_cfg
    delete__ibv_destroy_srq_ERRNO__without_cfg delete__ibv_destroy_srq_ERRNO__with_cfg
  `,
  'srq/srq-recv': `
    recv__srq_NULL recv__dst_NULL_offset_not_NULL recv__dst_NULL_len_not_NULL
    recv__dst_NULL_offset_len_not_NULL recv__success
  `,
  'srq_cfg/srq_cfg-delete': `
    delete__cfg_ptr_NULL delete__cfg_NULL
  `,
  'srq_cfg/srq_cfg-new': `
    new__cfg_ptr_NULL new__malloc_ERRNO new__success
  `,
  'srq_cfg/srq_cfg-rcq_size': `
    set__cfg_NULL get__cfg_NULL get__rcq_size_NULL rcq_size__lifecycle
  `,
  'srq_cfg/srq_cfg-rcqe': `
    rcqe__lifecycle rcqe__clipped
  `,
  'srq_cfg/srq_cfg-rq_size': `
    set__cfg_NULL get__cfg_NULL get__rq_size_NULL rq_size__lifecycle
  `,
  'utils/utils-conn_event_2str': `
    conn_event_2str__CONN_UNDEFINED conn_event_2str__CONN_ESTABLISHED conn_event_2str__CONN_CLOSED
    conn_event_2str__CONN_LOST conn_event_2str__CONN_REJECTED conn_event_2str__CONN_UNREACHABLE
    conn_event_2str__CONN_UNSUPPORTED
  `,
  'utils/utils-get_ibv_context': `
    sanity__type_unknown get_ibvc__addr_NULL get_ibvc__ibv_ctx_NULL get_ibvc__type_unknown
    get_ibvc__addr_NULL_ibv_ctx_NULL_type_unknown get_ibvc__info_new_failed_E_PROVIDER
    get_ibvc__info_new_failed_E_NOMEM get_ibvc__create_id_failed
    get_ibvc__bind_addr_failed_E_PROVIDER get_ibvc__resolve_addr_failed_E_PROVIDER
    get_ibvc__success_destroy_id_failed_passive get_ibvc__success_destroy_id_failed_active
    get_ibvc__success_passive get_ibvc__success_active
  `,
  'utils/utils-ibv_context_is_atomic_write_capable': `
    ibvc_atomic_write__cap_no
  `,
  'utils/utils-ibv_context_is_flush_capable': `
    ibvc_flush__cap_no_without_both_attributes
  `,
  'utils/utils-ibv_context_is_odp_capable': `
    ibvc_odp__ibv_ctx_NULL ibvc_odp__cap_NULL ibvc_odp__ibv_ctx_cap_NULL ibvc_odp__query_fail
    ibvc_odp__general_caps_no ibvc_odp__rc_caps_not_all ibvc_odp__odp_capable
  `,
};
