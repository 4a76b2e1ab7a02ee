/* Sets the wall clock of one process ahead by CLOCK_AHEAD seconds. */
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t id, struct timespec *now) {
    int result = syscall(SYS_clock_gettime, id, now);
    const char *ahead = getenv("CLOCK_AHEAD");
    if (result == 0 && id == CLOCK_REALTIME && ahead)
        now->tv_sec += atol(ahead);
    return result;
}
