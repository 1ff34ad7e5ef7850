/* Keeps the energy files of a simulated powercap tree up to date in real time, as the RAPL hardware would.
 *
 * Usage: powercap_writer CONFIG PARENT_PID ; prints "ready" once every file holds its value of now, and runs until
 * SIGTERM or the end of its parent. CONFIG is written by powercap.py, one "key value..." a line:
 *
 *     origin T        CLOCK_MONOTONIC [s] at time 0 of the profiles (before the first zone)
 *     zone PATH       starts a zone: its energy_uj file
 *     point T W       a point of its power profile
 *     repeat 0|1
 *     counter START_UJ RANGE_UJ RESOLUTION_UJ PERIOD_S OFFSET_S RESET_AT_S UNREADABLE_FROM_S
 *
 * A reader must never meet half a number, and readers keep the file open, so that replacing it by rename is no way.
 * Therefore a value is always written by one pwrite of WIDTH bytes at offset 0: the digits, filled up with newlines. The
 * file never changes its length and is never truncated; newlines at the end are what every reader strips anyway
 * (int(), float(), strtoull, $(cat)). WIDTH is 16 because a reader copies the page with no lock: 16 aligned bytes at the
 * beginning of a page are copied in one or two machine words. */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "power_profile.h"

enum { MAX_ZONES = 64, WIDTH = 16 };
static const double UPDATE_S = 0.0005; /* look twice a period of about 1 ms: no update is more than half a period late */

typedef struct {
    char path[1024];
    Profile profile;
    double start_uj, range_uj, resolution_uj, period_s, offset_s, reset_at_s, unreadable_from_s;
    int fd;
    uint64_t written_uj;
} Zone;

static Zone zones[MAX_ZONES];
static int zone_count;
static double origin_s;
static volatile sig_atomic_t stopped;

static void stop(int signal_number) { (void)signal_number, stopped = 1; }

static int read_line(char *key, char *value) {
    double a, b;
    if (!strcmp(key, "origin")) return sscanf(value, "%lf", &origin_s) == 1;
    if (!strcmp(key, "zone") && zone_count < MAX_ZONES) {
        Zone *z = &zones[zone_count++];
        snprintf(z->path, sizeof z->path, "%s", value);
        z->written_uj = UINT64_MAX;
        return (z->fd = open(z->path, O_WRONLY | O_CLOEXEC)) >= 0;
    }
    if (!zone_count) return 0;
    Zone *z = &zones[zone_count - 1];
    if (!strcmp(key, "point")) return sscanf(value, "%lf %lf", &a, &b) == 2 && (profile_add(&z->profile, a, b), 1);
    if (!strcmp(key, "repeat")) return sscanf(value, "%d", &z->profile.repeat) == 1;
    return !strcmp(key, "counter")
        && sscanf(value, "%lf %lf %lf %lf %lf %lf %lf", &z->start_uj, &z->range_uj, &z->resolution_uj, &z->period_s,
                  &z->offset_s, &z->reset_at_s, &z->unreadable_from_s) == 7;
}

static int read_config(const char *path) {
    char line[2048];
    FILE *file = fopen(path, "r");
    int understood = file != NULL;
    while (understood && fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = 0;
        char *value = line + strcspn(line, " ");
        if (*value) *value++ = 0;
        understood = !*line || read_line(line, value);
        if (!understood) fprintf(stderr, "powercap_writer: cannot use '%s %s'\n", line, value);
    }
    if (file) fclose(file);
    return understood;
}

/* The same arithmetic as Zone.counter_uj in powercap.py. */
static uint64_t counter_uj(const Zone *z, double now) {
    double tick = last_tick(now, z->offset_s, z->period_s);
    double total_uj = (now < z->reset_at_s ? z->start_uj : 0) + 1e6 * counted_j(&z->profile, now, tick, z->reset_at_s);
    double steps = floor(total_uj / z->resolution_uj + STEP_SLACK);
    double steps_per_lap = floor(z->range_uj / z->resolution_uj) + 1;
    steps -= floor(steps / steps_per_lap) * steps_per_lap;
    return (uint64_t)(steps * z->resolution_uj);
}

static void update(Zone *z, double now) {
    char text[WIDTH + 8];
    if (z->fd < 0) return;
    if (now >= z->unreadable_from_s) { /* see FakePowercap: empty for those who have it open, gone for the others */
        if (ftruncate(z->fd, 0) == 0) unlink(z->path);
        close(z->fd);
        z->fd = -1;
        return;
    }
    uint64_t value = counter_uj(z, now);
    if (value == z->written_uj) return;
    int digits = snprintf(text, sizeof text, "%llu", (unsigned long long)value);
    memset(text + digits, '\n', WIDTH - digits);
    if (pwrite(z->fd, text, WIDTH, 0) == WIDTH) z->written_uj = value;
}

static void update_all(void) {
    for (int i = 0; i < zone_count; i++) update(&zones[i], monotonic_s() - origin_s);
}

int main(int count, char **arguments) {
    if (count != 3 || !read_config(arguments[1])) return 2;
    signal(SIGTERM, stop);
    signal(SIGINT, SIG_IGN); /* Ctrl-C goes to the whole group; the tests end this process themselves */
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != atoi(arguments[2])) return 0; /* the parent ended before prctl could take effect */
    /* Hardware is not delayed by a busy machine. Best effort: not everybody may do this. */
    prctl(PR_SET_TIMERSLACK, 1000UL);
    if (sched_setscheduler(0, SCHED_FIFO, &(struct sched_param){.sched_priority = 1}) != 0 && nice(-10) == -1)
        fprintf(stderr, "powercap_writer: runs at ordinary priority\n");
    update_all();
    puts("ready");
    fflush(stdout);
    struct timespec next;
    clock_gettime(CLOCK_MONOTONIC, &next);
    while (!stopped) {
        next.tv_nsec += (long)(UPDATE_S * 1e9);
        if (next.tv_nsec >= 1000000000) next.tv_nsec -= 1000000000, next.tv_sec++;
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
        update_all();
    }
    return 0;
}
