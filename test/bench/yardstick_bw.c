// SPDX-License-Identifier: BSD-3-Clause
//
// A yardstick: how fast two processes move bytes over loopback TCP with nothing but send() and
// recv(). A forked child sends in calls of 1 MiB; the parent receives in calls of 64 KiB, then over
// a second connection in calls of 1 MiB, and measures from the first byte to the last. The better
// of the two counts. Prints one line of JSON: gigabytes (10^9) a second.
//
//   yardstick_bw [--bytes N] [--cpu-server N] [--cpu-client N]
//
// The server is the side that receives.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { kSendBytes = 1 << 20, kAcceptTimeoutMs = 5000, kTrials = 2 };
static const size_t kReceiveBytes[kTrials] = {65536, 1 << 20};

struct options {
  long long bytes;
  int cpu_server;  // -1: anywhere
  int cpu_client;
};

static void fail(const char* what) {
  fprintf(stderr, "yardstick_bw: %s: %s\n", what, strerror(errno));
  exit(1);
}

static struct options parse_options(int argc, char** argv) {
  struct options options = {2ll << 30, -1, -1};
  for (int at = 1; at < argc; at += 2) {
    const char* name = argv[at];
    char* end = NULL;
    errno = 0;
    const long long value = at + 1 < argc ? strtoll(argv[at + 1], &end, 10) : -1;
    const int good = at + 1 < argc && errno == 0 && end != argv[at + 1] && *end == '\0';
    if (good && strcmp(name, "--bytes") == 0 && value >= kSendBytes) {
      options.bytes = value;
    } else if (good && strcmp(name, "--cpu-server") == 0 && value >= 0 && value < CPU_SETSIZE) {
      options.cpu_server = (int)value;
    } else if (good && strcmp(name, "--cpu-client") == 0 && value >= 0 && value < CPU_SETSIZE) {
      options.cpu_client = (int)value;
    } else {
      fprintf(stderr, "yardstick_bw: unknown option or unusable value: %s\n", name);
      exit(2);
    }
  }
  return options;
}

static void pin(int cpu) {
  if (cpu < 0) return;
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET((unsigned)cpu, &set);
  if (sched_setaffinity(0, sizeof set, &set) != 0) fail("sched_setaffinity");
}

static char* touched_buffer(size_t size) {
  char* buffer = malloc(size);
  if (buffer == NULL) fail("malloc");
  memset(buffer, 0x5A, size);
  return buffer;
}

static int make_listener(struct sockaddr_in* address) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) fail("socket");
  memset(address, 0, sizeof *address);
  address->sin_family = AF_INET;
  address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof *address;
  if (bind(fd, (const struct sockaddr*)address, size) != 0 || listen(fd, 1) != 0 ||
      getsockname(fd, (struct sockaddr*)address, &size) != 0) {
    fail("listen");
  }
  return fd;
}

static void send_stream(const struct sockaddr_in* address, long long bytes, const char* buffer) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) fail("socket");
  if (connect(fd, (const struct sockaddr*)address, sizeof *address) != 0) fail("connect");
  while (bytes > 0) {
    const size_t size = bytes < kSendBytes ? (size_t)bytes : (size_t)kSendBytes;
    const ssize_t sent = send(fd, buffer, size, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) fail("send");
    bytes -= sent;
  }
  close(fd);
}

static double now_seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

// Gigabytes a second of one stream received in calls of `size` bytes.
static double receive_stream(int listener, long long bytes, size_t size) {
  struct pollfd wait = {.fd = listener, .events = POLLIN};
  if (poll(&wait, 1, kAcceptTimeoutMs) != 1) fail("nobody connected");
  const int fd = accept(listener, NULL, NULL);
  if (fd < 0) fail("accept");
  char* buffer = touched_buffer(size);
  long long got_bytes = 0;
  double started = 0;
  long long before = 0;
  while (got_bytes < bytes) {
    const ssize_t got = recv(fd, buffer, size, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) fail("recv");
    got_bytes += got;
    if (started == 0) {
      started = now_seconds();
      before = got_bytes;
    }
  }
  const double seconds = now_seconds() - started;
  free(buffer);
  close(fd);
  return (double)(got_bytes - before) / seconds / 1e9;
}

int main(int argc, char** argv) {
  const struct options options = parse_options(argc, argv);
  struct sockaddr_in address;
  const int listener = make_listener(&address);
  const pid_t child = fork();
  if (child < 0) fail("fork");
  if (child == 0) {
    // The child must not outlive a parent that was killed.
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    close(listener);
    pin(options.cpu_client);
    char* buffer = touched_buffer(kSendBytes);
    for (int trial = 0; trial < kTrials; ++trial) send_stream(&address, options.bytes, buffer);
    free(buffer);
    return 0;
  }
  pin(options.cpu_server);
  double rates[kTrials];
  for (int trial = 0; trial < kTrials; ++trial) {
    rates[trial] = receive_stream(listener, options.bytes, kReceiveBytes[trial]);
  }
  close(listener);
  int status = 0;
  if (waitpid(child, &status, 0) != child || status != 0) return 1;
  printf("{\"name\":\"stream\",\"unit\":\"GB/s\",\"value\":%.3f,\"receive64KiB\":%.3f,"
         "\"receive1MiB\":%.3f,\"bytes\":%lld}\n",
         rates[0] > rates[1] ? rates[0] : rates[1], rates[0], rates[1], options.bytes);
  return 0;
}
