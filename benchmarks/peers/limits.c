/*
 * What the machine itself allows: the same work as kafkats does, in C, with nothing around it. Each call prints one line
 * of JSON: bytes, seconds, CPU seconds. Compiled by run.ts: gcc -O3 -msse4.2.
 *
 *   limits pread FILE CHUNK          reads a file front to back into one page-aligned buffer
 *   limits memcpy BYTES              copies between two buffers of 64 MiB
 *   limits crc FILE                  walks the batches of a log and checks the CRC-32C of each (one chain of crc32 instructions)
 *   limits write FILE BYTES CHUNK    appends chunks to a new file, one write each, then removes it; the removal is not counted
 *   limits send sendfile|copy PORT FILE
 *                                    sends a file to 127.0.0.1: sendfile(2), or pread and write with 1 MiB at a time
 *   limits reader copy|drop|stall    listens on 127.0.0.1 and prints {"port":N}; then for each connection that ends bytes and
 *                                    seconds from the first byte to the last. copy: into a buffer; drop: MSG_TRUNC, which frees
 *                                    the bytes where they are; stall: accepts and never reads. Ends with its standard input.
 *   limits run drain|null -- PROGRAM ARGS...
 *                                    runs a program, reads its standard output through a pipe (or not at all), and tells its exit status,
 *                                    seconds, CPU seconds, and largest resident set (wait4)
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <nmmintrin.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MIB (1024L * 1024L)
#define LARGE (64 * MIB)

static void die(const char *what) {
  perror(what);
  exit(1);
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}

static double cpu_of(const struct rusage *u) {
  return u->ru_utime.tv_sec + u->ru_utime.tv_usec / 1e6 + u->ru_stime.tv_sec + u->ru_stime.tv_usec / 1e6;
}

static double cpu(void) {
  struct rusage u;
  getrusage(RUSAGE_SELF, &u);
  return cpu_of(&u);
}

static void *aligned(size_t bytes) {
  void *p;
  if (posix_memalign(&p, 4096, bytes) != 0) die("memory");
  memset(p, 'k', bytes);
  return p;
}

static void tell(double bytes, double seconds, double cpu_seconds) {
  printf("{\"bytes\":%.0f,\"seconds\":%.9f,\"cpuSeconds\":%.6f}\n", bytes, seconds, cpu_seconds);
  fflush(stdout);
}

static int open_file(const char *path) {
  int fd = open(path, O_RDONLY);
  if (fd < 0) die(path);
  return fd;
}

static void pread_file(const char *path, long chunk) {
  char *buffer = aligned(chunk);
  int fd = open_file(path);
  double from = now(), cpu_from = cpu();
  off_t at = 0;
  for (ssize_t n; (n = pread(fd, buffer, chunk, at)) > 0;) at += n;
  tell(at, now() - from, cpu() - cpu_from);
}

static void copy_memory(double bytes) {
  char *a = aligned(LARGE), *b = aligned(LARGE);
  double from = now(), cpu_from = cpu(), done = 0;
  for (; done < bytes; done += LARGE) {
    memcpy(b, a, LARGE);
    __asm__ volatile("" : : "r"(b) : "memory");
  }
  tell(done, now() - from, cpu() - cpu_from);
}

static uint32_t crc32c(const unsigned char *p, size_t n) {
  uint64_t crc = 0xffffffff, word;
  for (; n >= 8; n -= 8, p += 8) {
    memcpy(&word, p, 8);
    crc = _mm_crc32_u64(crc, word);
  }
  for (; n > 0; n--) crc = _mm_crc32_u8((uint32_t)crc, *p++);
  return (uint32_t)crc ^ 0xffffffff;
}

static uint32_t int32_at(const unsigned char *p) {
  return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/** Batches that cross the end of the buffer are read again from their beginning, buffer and file kept in step. */
static void check_crcs(const char *path) {
  unsigned char *buffer = aligned(MIB + 4096);
  int fd = open_file(path);
  double from = now(), cpu_from = cpu();
  off_t at = 0;
  long batches = 0;
  for (;;) {
    off_t page = at & ~4095L;
    ssize_t n = pread(fd, buffer, MIB + 4096, page);
    if (n < 0) die("pread");
    size_t have = n, p = at - page;
    if (p >= have) break;
    while (p + 61 <= have) {
      size_t size = int32_at(buffer + p + 8) + 12UL;
      if (p + size > have) break;
      if (crc32c(buffer + p + 21, size - 21) != int32_at(buffer + p + 17)) {
        fprintf(stderr, "crc differs at %ld\n", (long)(page + p));
        exit(1);
      }
      p += size;
      batches++;
    }
    if (page + (off_t)p == at) {
      fprintf(stderr, "a torn or too large batch at %ld\n", (long)at);
      exit(1);
    }
    at = page + p;
  }
  if (batches == 0) exit(1);
  tell(at, now() - from, cpu() - cpu_from);
}

/** From 8 MiB of memory, so that what is written does not lie in the nearest cache. */
static void write_file(const char *path, double bytes, long chunk) {
  long pool = chunk > 8 * MIB ? chunk : 8 * MIB / chunk * chunk;
  char *buffer = aligned(pool);
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
  if (fd < 0) die(path);
  double from = now(), cpu_from = cpu(), done = 0;
  for (long at = 0; done + chunk <= bytes; at = at + chunk < pool ? at + chunk : 0) {
    if (write(fd, buffer + at, chunk) != chunk) die("write");
    done += chunk;
  }
  double seconds = now() - from, cpu_seconds = cpu() - cpu_from;
  unlink(path);
  close(fd);
  tell(done, seconds, cpu_seconds);
}

static struct sockaddr_in loopback(int port) {
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
  a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return a;
}

static void send_file(const char *how, int port, const char *path) {
  int fd = open_file(path);
  struct stat st;
  if (fstat(fd, &st) != 0) die(path);
  int to = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in a = loopback(port);
  if (connect(to, (struct sockaddr *)&a, sizeof a) != 0) die("connect");
  double from = now(), cpu_from = cpu();
  off_t at = 0;
  if (strcmp(how, "sendfile") == 0) {
    while (at < st.st_size)
      if (sendfile(to, fd, &at, st.st_size - at) <= 0) die("sendfile");
  } else {
    char *buffer = aligned(MIB);
    while (at < st.st_size) {
      ssize_t n = pread(fd, buffer, MIB, at);
      if (n <= 0) die("pread");
      for (ssize_t sent = 0, m; sent < n; sent += m)
        if ((m = write(to, buffer + sent, n - sent)) < 0) die("write");
      at += n;
    }
  }
  shutdown(to, SHUT_WR);
  double seconds = now() - from, cpu_seconds = cpu() - cpu_from;
  char last;
  while (read(to, &last, 1) > 0) {} /* until the reader has closed, so that nothing of this run is left in the next */
  tell(at, seconds, cpu_seconds);
}

static int listening(void) {
  int fd = socket(AF_INET, SOCK_STREAM, 0), port;
  struct sockaddr_in a = loopback(0);
  socklen_t size = sizeof a;
  if (bind(fd, (struct sockaddr *)&a, sizeof a) != 0 || listen(fd, 64) != 0) die("listen");
  getsockname(fd, (struct sockaddr *)&a, &size);
  port = ntohs(a.sin_port);
  printf("{\"port\":%d}\n", port);
  fflush(stdout);
  return fd;
}

/** The next connection, or the end of the program when standard input has ended. */
static int next_connection(int listener) {
  struct pollfd fds[2] = {{.fd = listener, .events = POLLIN}, {.fd = 0, .events = POLLIN}};
  for (;;) {
    if (poll(fds, 2, -1) < 0) die("poll");
    if (fds[1].revents != 0) exit(0);
    if (fds[0].revents != 0) return accept(listener, NULL, NULL);
  }
}

static void read_connections(const char *how) {
  int listener = listening();
  int drop = strcmp(how, "drop") == 0, stall = strcmp(how, "stall") == 0;
  char *buffer = aligned(MIB);
  for (;;) {
    int fd = next_connection(listener);
    if (fd < 0) die("accept");
    if (stall) continue; /* kept open, never read */
    double bytes = 0, from = 0, cpu_from = cpu();
    for (ssize_t n; (n = recv(fd, buffer, MIB, drop ? MSG_TRUNC : 0)) > 0; bytes += n)
      if (from == 0) from = now();
    double seconds = from == 0 ? 0 : now() - from, cpu_seconds = cpu() - cpu_from;
    close(fd);
    tell(bytes, seconds, cpu_seconds);
  }
}

static void run(int drain, char **argv) {
  int out[2];
  if (pipe(out) != 0) die("pipe");
  double from = now();
  pid_t pid = fork();
  if (pid < 0) die("fork");
  if (pid == 0) {
    int to = drain ? out[1] : open("/dev/null", O_WRONLY);
    dup2(to, 1);
    close(out[0]);
    close(out[1]);
    execvp(argv[0], argv);
    perror(argv[0]);
    _exit(127);
  }
  close(out[1]);
  char *buffer = aligned(MIB);
  double bytes = 0;
  for (ssize_t n; (n = read(out[0], buffer, MIB)) > 0;) bytes += n;
  int status;
  struct rusage usage;
  if (wait4(pid, &status, 0, &usage) < 0) die("wait4");
  double seconds = now() - from;
  printf("{\"status\":%d,\"seconds\":%.9f,\"cpuSeconds\":%.6f,\"maxRssBytes\":%.0f,\"stdoutBytes\":%.0f}\n",
         WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), seconds, cpu_of(&usage),
         usage.ru_maxrss * 1024.0, bytes);
}

int main(int argc, char **argv) {
  const char *what = argc > 1 ? argv[1] : "";
  if (strcmp(what, "pread") == 0 && argc == 4) pread_file(argv[2], atol(argv[3]));
  else if (strcmp(what, "memcpy") == 0 && argc == 3) copy_memory(atof(argv[2]));
  else if (strcmp(what, "crc") == 0 && argc == 3) check_crcs(argv[2]);
  else if (strcmp(what, "write") == 0 && argc == 5) write_file(argv[2], atof(argv[3]), atol(argv[4]));
  else if (strcmp(what, "send") == 0 && argc == 5) send_file(argv[2], atoi(argv[3]), argv[4]);
  else if (strcmp(what, "reader") == 0 && argc == 3) read_connections(argv[2]);
  else if (strcmp(what, "run") == 0 && argc > 4) run(strcmp(argv[2], "drain") == 0, argv + 4);
  else {
    fprintf(stderr, "limits: see the head of limits.c for what it can be asked\n");
    return 2;
  }
  return 0;
}
