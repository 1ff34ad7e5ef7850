/* Power over time as straight lines between points, and its exact integral: the C twin of
 * mlee.sensors.profiles.PowerProfile. The arithmetic is done in the same order as there, so that a test may compare
 * the simulators' values with the Python truth digit by digit (build with -ffp-contract=off). */
#ifndef POWER_PROFILE_H
#define POWER_PROFILE_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* Times like 0.3 / 0.1 fall a hair below a whole number; without this an update would come one period late. */
#define TICK_SLACK 1e-9
/* The same for energies that are a whole number of counter steps up to rounding. */
#define STEP_SLACK 1e-6

typedef struct {
    double *time_s, *power_w, *energy_j; /* energy_j[i]: from time 0 to time_s[i] */
    int count, room, repeat;
} Profile;

static inline void profile_clear(Profile *p) {
    free(p->time_s), free(p->power_w), free(p->energy_j);
    *p = (Profile){0};
}

static void profile_add(Profile *p, double time_s, double power_w) {
    if (p->count == p->room) {
        p->room = p->room ? 2 * p->room : 16;
        p->time_s = realloc(p->time_s, p->room * sizeof(double));
        p->power_w = realloc(p->power_w, p->room * sizeof(double));
        p->energy_j = realloc(p->energy_j, p->room * sizeof(double));
    }
    int i = p->count++;
    p->time_s[i] = time_s, p->power_w[i] = power_w;
    p->energy_j[i] = i ? p->energy_j[i - 1] + (time_s - p->time_s[i - 1]) * (p->power_w[i - 1] + power_w) / 2 : 0;
}

/* Bring *t into the profile; return how many whole laps were left out. */
static double profile_lap(const Profile *p, double *t) {
    if (!p->repeat || *t < 0) return 0;
    double span = p->time_s[p->count - 1], laps = floor(*t / span);
    *t -= laps * span;
    return laps;
}

/* The last point not after t, and the power at t; at a step the power after it. */
static int profile_locate(const Profile *p, double t, double *power_w) {
    int low = 0, high = p->count; /* first point after t lies in [low, high] */
    while (low < high) {
        int middle = (low + high) / 2;
        if (p->time_s[middle] <= t) low = middle + 1; else high = middle;
    }
    int i = low > 0 ? low - 1 : 0;
    *power_w = p->power_w[i];
    if (t >= 0 && i < p->count - 1) {
        double share = (t - p->time_s[i]) / (p->time_s[i + 1] - p->time_s[i]);
        *power_w = p->power_w[i] + share * (p->power_w[i + 1] - p->power_w[i]);
    }
    return i;
}

static inline double profile_power_w(const Profile *p, double t) {
    double power_w;
    profile_lap(p, &t);
    profile_locate(p, t, &power_w);
    return power_w;
}

static inline double profile_energy_j(const Profile *p, double t) {
    double power_w, laps = profile_lap(p, &t);
    int i = profile_locate(p, t, &power_w);
    return laps * p->energy_j[p->count - 1] + p->energy_j[i] + (t - p->time_s[i]) * (p->power_w[i] + power_w) / 2;
}

/* The last update of something that is refreshed at offset + k * period; period 0 means continuously. */
static double last_tick(double t, double offset, double period) {
    return period > 0 ? offset + floor((t - offset) / period + TICK_SLACK) * period : t;
}

/* Energy a counter has seen by `t`: since the beginning, or since the reset once that has happened. */
static double counted_j(const Profile *p, double t, double tick, double reset_at) {
    if (t < reset_at) return profile_energy_j(p, tick);
    double energy_j = profile_energy_j(p, tick) - profile_energy_j(p, reset_at);
    return energy_j > 0 ? energy_j : 0; /* no update since the reset yet */
}

static double monotonic_s(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec + now.tv_nsec * 1e-9;
}

#endif
