/* A stand-in for NVIDIA's driver library libnvidia-ml.so.1, so that the real pynvml can be tested without a GPU.
 *
 * The signatures, structures and codes are those of NVIDIA's public NVML API reference. Only what pynvml-based energy
 * tools call is there; anything else makes pynvml raise NVMLError_FunctionNotFound, as an old driver does.
 * The model behind it is in nvml_model.h. */
#include "nvml_model.h"

#define API __attribute__((visibility("default")))

enum {
    SUCCESS = 0, UNINITIALIZED = 1, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3, NO_PERMISSION = 4, NOT_FOUND = 6,
    INSUFFICIENT_SIZE = 7, DRIVER_NOT_LOADED = 9, UNKNOWN = 999,
};
enum { FIELD_ENERGY = 83, FIELD_POWER_AVERAGE = 185, FIELD_POWER_INSTANT = 186 };

typedef int Return;
typedef struct { char legacy[16]; unsigned domain, bus, device, pci_id, subsystem_id; char bus_id[32]; } PciInfo;
typedef struct { unsigned gpu, memory; } Utilization;
typedef struct { unsigned long long total, free, used; } Memory;
typedef struct { unsigned version; unsigned long long total, reserved, free, used; } MemoryV2;
typedef struct { unsigned version; unsigned sensor; int temperature; } Temperature;
typedef struct { unsigned pid; unsigned long long used_bytes; unsigned gpu_instance, compute_instance; } ProcessInfo;
typedef struct { unsigned pid; unsigned long long time_us; unsigned sm, memory, encoder, decoder; } ProcessSample;
typedef struct {
    unsigned id, scope;
    long long time_us, latency_us;
    unsigned type;
    Return result;
    union { double d; unsigned ui; unsigned long long ull; } value;
} FieldValue;

static uint64_t calls;
static int users; /* nvmlInit calls minus nvmlShutdown calls */

/* ---- control by the tests ---- */

API void stub_set_clock(double monotonic_now_s) { virtual_now_s = monotonic_now_s, virtual_clock = 1; }
API void stub_use_real_clock(void) { virtual_clock = 0; }
API uint64_t stub_calls(void) { return __atomic_load_n(&calls, __ATOMIC_RELAXED); }
/* As if the library had just been loaded, whatever a failed test has left open. */
API void stub_reset(void) { users = 0, calls = 0, virtual_clock = 0; }

/* ---- how every call begins ---- */

static Return enter(void) {
    __atomic_add_fetch(&calls, 1, __ATOMIC_RELAXED);
    return users > 0 ? SUCCESS : UNINITIALIZED;
}

static Return failure_of(const Gpu *g, const char *field) {
    double now = model_now();
    for (int i = 0; i < g->failures; i++) {
        const Failure *f = &g->failure[i];
        if (now >= f->from_s && now < f->until_s && (!strcmp(f->field, "*") || !strcmp(f->field, field))) return f->error;
    }
    return SUCCESS;
}

/* Begin a call on a device. The cost is paid before the value is taken, and on the CPU: that is what makes a careless
 * sampler expensive. `on_slice`: whether the call works on a MIG slice; the driver does not measure slices. */
static Return enter_device(const Device *device, const char *field, int on_slice) {
    Return result = enter();
    if (result) return result;
    if (!device || !device->gpu) return INVALID_ARGUMENT;
    if (device->gpu->call_cost_s > 0)
        for (double end = monotonic_s() + device->gpu->call_cost_s; monotonic_s() < end;) continue;
    if (device->is_mig && !on_slice) return NOT_SUPPORTED;
    return failure_of(device->gpu, field);
}

#define ENTER(field, on_slice)                                  \
    Return result = enter_device(device, field, on_slice);      \
    if (result) return result;                                  \
    const Gpu *gpu = device->gpu;                               \
    (void)gpu

static Return give_text(const char *text, char *to, unsigned room) {
    if (strlen(text) >= room) return INSUFFICIENT_SIZE;
    strcpy(to, text);
    return SUCCESS;
}

/* ---- library and system ---- */

API Return nvmlInitWithFlags(unsigned flags) {
    (void)flags;
    enter();
    if (users == 0) {
        if (!getenv("MLEE_STUB_NVML")) return DRIVER_NOT_LOADED;
        if (!model_read(getenv("MLEE_STUB_NVML"))) return UNKNOWN;
        if (model.init_error) return model.init_error;
    }
    users++;
    return SUCCESS;
}
API Return nvmlInit_v2(void) { return nvmlInitWithFlags(0); }
API Return nvmlShutdown(void) {
    Return result = enter();
    if (result == SUCCESS) users--;
    return result;
}
API const char *nvmlErrorString(Return error) {
    static char text[64]; /* pynvml has its own texts for the usual codes */
    snprintf(text, sizeof text, "stub error %d", error);
    return text;
}
API Return nvmlSystemGetDriverVersion(char *to, unsigned room) {
    Return result = enter();
    return result ? result : give_text(model.driver_version, to, room);
}
API Return nvmlSystemGetNVMLVersion(char *to, unsigned room) {
    char text[TEXT + 4];
    Return result = enter();
    snprintf(text, sizeof text, "12.%s", model.driver_version);
    return result ? result : give_text(text, to, room);
}
API Return nvmlSystemGetCudaDriverVersion(int *version) { return *version = model.cuda_version, enter(); }
API Return nvmlSystemGetCudaDriverVersion_v2(int *version) { return *version = model.cuda_version, enter(); }

/* ---- finding devices ---- */

API Return nvmlDeviceGetCount_v2(unsigned *count) { return *count = model.gpus, enter(); }

static Return give_handle(Device *device, Device **to) {
    Return result = failure_of(device->gpu, "handle");
    if (result == SUCCESS) *to = device;
    return result;
}
API Return nvmlDeviceGetHandleByIndex_v2(unsigned index, Device **to) {
    Return result = enter();
    if (result) return result;
    return index < (unsigned)model.gpus ? give_handle(&model.gpu[index].self, to) : INVALID_ARGUMENT;
}
API Return nvmlDeviceGetHandleByUUID(const char *uuid, Device **to) {
    Return result = enter();
    if (result) return result;
    for (int i = 0; i < model.gpus; i++) {
        Gpu *g = &model.gpu[i];
        if (!strcmp(uuid, g->self.uuid)) return give_handle(&g->self, to);
        for (int k = 0; k < g->mig_count; k++)
            if (!strcmp(uuid, g->mig[k].uuid)) return give_handle(&g->mig[k], to);
    }
    return NOT_FOUND;
}
static int parse_pci(const char *text, unsigned at[3]) { /* the domain may be left out or have 4 or 8 digits */
    if (sscanf(text, "%x:%x:%x", &at[0], &at[1], &at[2]) == 3) return 1;
    at[0] = 0;
    return sscanf(text, "%x:%x", &at[1], &at[2]) == 2;
}
API Return nvmlDeviceGetHandleByPciBusId_v2(const char *pci, Device **to) {
    unsigned wanted[3], found[3];
    Return result = enter();
    if (result) return result;
    if (!parse_pci(pci, wanted)) return INVALID_ARGUMENT;
    for (int i = 0; i < model.gpus; i++)
        if (parse_pci(model.gpu[i].pci, found) && !memcmp(wanted, found, sizeof wanted))
            return give_handle(&model.gpu[i].self, to);
    return NOT_FOUND;
}

/* ---- who it is ---- */

API Return nvmlDeviceGetIndex(Device *device, unsigned *index) { ENTER("index", 0); *index = gpu->index; return SUCCESS; }
API Return nvmlDeviceGetName(Device *device, char *to, unsigned room) {
    ENTER("name", 1);
    char text[TEXT + 16];
    snprintf(text, sizeof text, "%s%s", gpu->name, device->is_mig ? " MIG 1g.10gb" : "");
    return give_text(text, to, room);
}
API Return nvmlDeviceGetUUID(Device *device, char *to, unsigned room) {
    ENTER("uuid", 1);
    return give_text(device->uuid, to, room);
}
API Return nvmlDeviceGetPciInfo_v3(Device *device, PciInfo *info) {
    ENTER("pci", 0);
    unsigned at[3];
    if (!parse_pci(gpu->pci, at)) return UNKNOWN;
    *info = (PciInfo){.domain = at[0], .bus = at[1], .device = at[2], .pci_id = 0x233010de, .subsystem_id = 0x16c110de};
    snprintf(info->legacy, sizeof info->legacy, "%04X:%02X:%02X.0", at[0] & 0xffff, at[1] & 0xff, at[2] & 0xff);
    snprintf(info->bus_id, sizeof info->bus_id, "%08X:%02X:%02X.0", at[0], at[1], at[2]);
    return SUCCESS;
}

/* ---- energy and power ---- */

API Return nvmlDeviceGetTotalEnergyConsumption(Device *device, unsigned long long *energy_mj) {
    ENTER("energy", 0);
    *energy_mj = gpu_counter_mj(gpu, model_now());
    return SUCCESS;
}
API Return nvmlDeviceGetPowerUsage(Device *device, unsigned *power_mw) {
    ENTER("power", 0);
    *power_mw = gpu_gauge_mw(gpu, model_now(), gpu->gauge_averaging_s, gpu->gauge_period_s);
    return SUCCESS;
}
/* The call itself succeeds even where single fields do not: each carries its own result. */
API Return nvmlDeviceGetFieldValues(Device *device, int count, FieldValue *values) {
    ENTER("fields", 0);
    double now = model_now();
    struct timespec wall;
    clock_gettime(CLOCK_REALTIME, &wall);
    for (FieldValue *v = values; v < values + count; v++) {
        v->time_us = wall.tv_sec * 1000000LL + wall.tv_nsec / 1000, v->latency_us = 1, v->value.ull = 0;
        v->type = v->id == FIELD_ENERGY ? 3 : 1; /* unsigned long long : unsigned int */
        v->result = NOT_SUPPORTED;
        if (v->scope != 0) continue; /* module and memory scopes exist on Grace Hopper only */
        if (v->id == FIELD_ENERGY && !(v->result = failure_of(gpu, "energy")))
            v->value.ull = gpu_counter_mj(gpu, now);
        if (v->id == FIELD_POWER_AVERAGE && !(v->result = failure_of(gpu, "average_power")))
            v->value.ui = gpu_gauge_mw(gpu, now, gpu->gauge_averaging_s, gpu->gauge_period_s);
        if (v->id == FIELD_POWER_INSTANT && !(v->result = failure_of(gpu, "instant_power")))
            v->value.ui = gpu_gauge_mw(gpu, now, 0, gpu->instant_period_s);
    }
    return SUCCESS;
}
static Return give_limit(Device *device, unsigned *limit_mw) {
    ENTER("power_limit", 0);
    *limit_mw = gpu->power_limit_mw;
    return SUCCESS;
}
API Return nvmlDeviceGetEnforcedPowerLimit(Device *device, unsigned *mw) { return give_limit(device, mw); }
API Return nvmlDeviceGetPowerManagementLimit(Device *device, unsigned *mw) { return give_limit(device, mw); }
API Return nvmlDeviceGetPowerManagementDefaultLimit(Device *device, unsigned *mw) { return give_limit(device, mw); }
API Return nvmlDeviceGetPowerManagementLimitConstraints(Device *device, unsigned *low_mw, unsigned *high_mw) {
    ENTER("power_limit", 0);
    *low_mw = gpu->power_limit_mw / 4, *high_mw = gpu->power_limit_mw;
    return SUCCESS;
}

#include "nvml_state.h"
