/* What the stub driver simulates: the GPUs, read from the text file named in MLEE_STUB_NVML, and the clock.
 * The file is written by nvml_stub.py, which describes the keys; one "key value..." a line, a line "gpu" starts a GPU. */
#ifndef NVML_MODEL_H
#define NVML_MODEL_H

#include <stdint.h>
#include <string.h>

#include "power_profile.h"

enum { MAX_GPUS = 16, MAX_MIG = 8, MAX_FAILURES = 48, MAX_PROCESSES = 32, TEXT = 96 };

typedef struct Gpu Gpu;

/* What an nvmlDevice_t points to: a whole GPU or a MIG slice of it. The structs are static and are never freed, so that a
 * handle kept over nvmlShutdown stays harmless. */
typedef struct {
    Gpu *gpu;
    int is_mig;
    char uuid[TEXT];
} Device;

/* Calls that concern `field` ("*": all calls) return `error` during [from_s, until_s). */
typedef struct {
    char field[24];
    int error;
    double from_s, until_s;
} Failure;

typedef struct {
    unsigned pid;
    unsigned long long used_bytes;
    unsigned sm_percent;
} Process;

struct Gpu {
    Device self, mig[MAX_MIG];
    int index, mig_capable, mig_count, failures, processes, graphics_processes, architecture;
    char name[TEXT], pci[32];
    Profile profile;
    double counter_period_s, counter_offset_s, counter_start_mj, reset_at_s;
    double gauge_averaging_s, gauge_period_s, instant_period_s, call_cost_s;
    unsigned gpu_percent, memory_percent, temperature_c, sm_clock_mhz, memory_clock_mhz, power_limit_mw;
    unsigned long long memory_total, memory_used;
    Failure failure[MAX_FAILURES];
    Process process[MAX_PROCESSES], graphics_process[MAX_PROCESSES];
};

static struct {
    Gpu gpu[MAX_GPUS];
    int gpus, init_error, cuda_version;
    double origin_s;
    char driver_version[TEXT];
} model;

static volatile int virtual_clock;
static volatile double virtual_now_s;

/* Seconds since the origin: the time scale of the profiles. */
static double model_now(void) { return (virtual_clock ? virtual_now_s : monotonic_s()) - model.origin_s; }

static void copy_text(char *to, size_t room, const char *from) { snprintf(to, room, "%s", from); }

static int add_process(Process *list, int *count, const char *value) {
    if (*count == MAX_PROCESSES) return 0;
    Process *p = &list[(*count)++];
    return sscanf(value, "%u %llu %u", &p->pid, &p->used_bytes, &p->sm_percent) == 3;
}

/* Take one line that belongs to a GPU; return whether it was understood. */
static int model_gpu_line(Gpu *g, const char *key, const char *value) {
    double a, b;
    if (!strcmp(key, "name")) return copy_text(g->name, sizeof g->name, value), 1;
    if (!strcmp(key, "uuid")) return copy_text(g->self.uuid, sizeof g->self.uuid, value), 1;
    if (!strcmp(key, "pci")) return copy_text(g->pci, sizeof g->pci, value), 1;
    if (!strcmp(key, "point")) return sscanf(value, "%lf %lf", &a, &b) == 2 && (profile_add(&g->profile, a, b), 1);
    if (!strcmp(key, "repeat")) return sscanf(value, "%d", &g->profile.repeat) == 1;
    if (!strcmp(key, "counter"))
        return sscanf(value, "%lf %lf %lf %lf", &g->counter_period_s, &g->counter_offset_s, &g->counter_start_mj,
                      &g->reset_at_s) == 4;
    if (!strcmp(key, "gauge"))
        return sscanf(value, "%lf %lf %lf", &g->gauge_averaging_s, &g->gauge_period_s, &g->instant_period_s) == 3;
    if (!strcmp(key, "call_cost_s")) return sscanf(value, "%lf", &g->call_cost_s) == 1;
    if (!strcmp(key, "utilisation")) return sscanf(value, "%u %u", &g->gpu_percent, &g->memory_percent) == 2;
    if (!strcmp(key, "memory")) return sscanf(value, "%llu %llu", &g->memory_total, &g->memory_used) == 2;
    if (!strcmp(key, "temperature")) return sscanf(value, "%u", &g->temperature_c) == 1;
    if (!strcmp(key, "clock")) return sscanf(value, "%u %u", &g->sm_clock_mhz, &g->memory_clock_mhz) == 2;
    if (!strcmp(key, "power_limit_mw")) return sscanf(value, "%u", &g->power_limit_mw) == 1;
    if (!strcmp(key, "architecture")) return sscanf(value, "%d", &g->architecture) == 1;
    if (!strcmp(key, "mig_capable")) return g->mig_capable = 1;
    if (!strcmp(key, "process")) return add_process(g->process, &g->processes, value);
    if (!strcmp(key, "graphics_process")) return add_process(g->graphics_process, &g->graphics_processes, value);
    if (!strcmp(key, "mig") && g->mig_count < MAX_MIG) {
        Device *slice = &g->mig[g->mig_count++];
        slice->gpu = g, slice->is_mig = 1;
        return copy_text(slice->uuid, sizeof slice->uuid, value), 1;
    }
    if (!strcmp(key, "fail") && g->failures < MAX_FAILURES) {
        Failure *f = &g->failure[g->failures++];
        return sscanf(value, "%23s %d %lf %lf", f->field, &f->error, &f->from_s, &f->until_s) == 4;
    }
    return 0;
}

static int model_line(const char *key, const char *value) {
    if (!strcmp(key, "gpu") && model.gpus < MAX_GPUS) {
        Gpu *g = &model.gpu[model.gpus];
        g->index = model.gpus++;
        g->self.gpu = g;
        return 1;
    }
    if (model.gpus > 0) return model_gpu_line(&model.gpu[model.gpus - 1], key, value);
    if (!strcmp(key, "origin")) return sscanf(value, "%lf", &model.origin_s) == 1;
    if (!strcmp(key, "init_error")) return sscanf(value, "%d", &model.init_error) == 1;
    if (!strcmp(key, "cuda_version")) return sscanf(value, "%d", &model.cuda_version) == 1;
    if (!strcmp(key, "driver_version"))
        return copy_text(model.driver_version, sizeof model.driver_version, value), 1;
    return 0;
}

/* Forget everything and read the file; return whether that worked. What is wrong goes to stderr. */
static int model_read(const char *path) {
    char line[512];
    for (int i = 0; i < MAX_GPUS; i++) profile_clear(&model.gpu[i].profile);
    memset(&model, 0, sizeof model);
    FILE *file = path ? fopen(path, "r") : NULL;
    if (!file) return fprintf(stderr, "nvml_stub: cannot open MLEE_STUB_NVML=%s\n", path ? path : "(unset)"), 0;
    int understood = 1;
    for (int number = 1; understood && fgets(line, sizeof line, file); number++) {
        line[strcspn(line, "\n")] = 0;
        char *value = line + strcspn(line, " ");
        if (*value) *value++ = 0;
        understood = !*line || model_line(line, value);
        if (!understood) fprintf(stderr, "nvml_stub: %s:%d: '%s' is not understood\n", path, number, line);
    }
    fclose(file);
    for (int i = 0; i < model.gpus; i++)
        if (!model.gpu[i].profile.count) profile_add(&model.gpu[i].profile, 0, 0);
    return understood;
}

/* The energy counter [mJ]: a staircase that is refreshed once a period and holds whole millijoules. */
static unsigned long long gpu_counter_mj(const Gpu *g, double now) {
    double tick = last_tick(now, g->counter_offset_s, g->counter_period_s);
    double energy_mj = 1000 * counted_j(&g->profile, now, tick, g->reset_at_s);
    double value = (now < g->reset_at_s ? g->counter_start_mj : 0) + floor(energy_mj + STEP_SLACK);
    return value > 0 ? (unsigned long long)value : 0;
}

/* A power gauge [mW]: the mean over the `averaging` seconds before its last refresh, or the power at that moment. */
static unsigned gpu_gauge_mw(const Gpu *g, double now, double averaging, double period) {
    double tick = last_tick(now, 0, period);
    double power_w = averaging > 0
        ? (profile_energy_j(&g->profile, tick) - profile_energy_j(&g->profile, tick - averaging)) / averaging
        : profile_power_w(&g->profile, tick);
    return (unsigned)floor(1000 * power_w + 0.5);
}

#endif
