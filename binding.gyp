{
  "variables": {
    # The lists are written by: node scripts/list-sources.mjs --write
    "rpma_sources": [
      "native/addon/arguments.cc",
      "native/addon/async.cc",
      "native/addon/connection_options.cc",
      "native/addon/environment.cc",
      "native/addon/environment_end.cc",
      "native/addon/handle_table.cc",
      "native/addon/methods_connection.cc",
      "native/addon/methods_endpoint.cc",
      "native/addon/methods_environment.cc",
      "native/addon/methods_file.cc",
      "native/addon/methods_peer.cc",
      "native/addon/methods_queue.cc",
      "native/addon/methods_region.cc",
      "native/addon/methods_test.cc",
      "native/addon/module.cc",
      "native/addon/ready_list.cc",
      "native/addon/views.cc",
      "native/addon/wake_up.cc",
      "native/core/counters.cc",
      "native/core/fault_points.cc",
      "native/core/log.cc",
      "native/core/random.cc",
      "native/core/thread.cc",
      "native/memory/guarded_copy.cc",
      "native/memory/mapped_range.cc",
      "native/memory/mapping.cc",
      "native/memory/persist.cc",
      "native/memory/persist_oracle.cc",
      "native/memory/persist_service.cc",
      "native/memory/pmem_library.cc",
      "native/memory/region_table.cc",
      "native/provider/iwarp/completion_queue.cc",
      "native/provider/iwarp/connector.cc",
      "native/provider/iwarp/crc32c.cc",
      "native/provider/iwarp/ddp.cc",
      "native/provider/iwarp/device.cc",
      "native/provider/iwarp/extension.cc",
      "native/provider/iwarp/inbound_requests.cc",
      "native/provider/iwarp/incoming_request.cc",
      "native/provider/iwarp/linger.cc",
      "native/provider/iwarp/listener.cc",
      "native/provider/iwarp/listener_reports.cc",
      "native/provider/iwarp/mpa.cc",
      "native/provider/iwarp/progress_thread.cc",
      "native/provider/iwarp/queue_pair.cc",
      "native/provider/iwarp/queue_pair_drive.cc",
      "native/provider/iwarp/queue_pair_end.cc",
      "native/provider/iwarp/queue_pair_frames.cc",
      "native/provider/iwarp/rdmap.cc",
      "native/provider/iwarp/receive_queue.cc",
      "native/provider/iwarp/receiver.cc",
      "native/provider/iwarp/send_queue.cc",
      "native/provider/iwarp/slowed_addresses.cc",
      "native/provider/iwarp/socket.cc",
      "native/provider/iwarp/transmitter.cc",
      "native/rma/connection.cc",
      "native/rma/flush.cc",
      "native/rma/peer.cc"
    ]
  },
  "target_defaults": {
    "sources": ["<@(rpma_sources)"],
    "include_dirs": ["native"],
    "defines": ["NAPI_VERSION=9"],
    "cflags": ["-fvisibility=hidden", "-Wall", "-Wextra"],
    "cflags_cc!": ["-std=gnu++17", "-std=gnu++20", "-fno-rtti", "-O3"],
    "cflags_cc": ["-std=c++20", "-O2", "-fno-exceptions"],
    "ldflags": ["-Wl,-z,nodelete"],
    "libraries": ["-ldl", "-pthread"]
  },
  "targets": [
    {
      "target_name": "rpma"
    },
    {
      "target_name": "rpma_test",
      "defines": ["RPMA_TEST_FLAVOUR=1"]
    }
  ]
}
