/* The second half of nvml_stub.c, which includes it: load, memory, temperature, clocks, processes, MIG. */

API Return nvmlDeviceGetUtilizationRates(Device *device, Utilization *rates) {
    ENTER("utilisation", 0);
    if (gpu->mig_count) return NOT_SUPPORTED; /* as the driver does for a GPU that is cut into slices */
    *rates = (Utilization){gpu->gpu_percent, gpu->memory_percent};
    return SUCCESS;
}
API Return nvmlDeviceGetMemoryInfo(Device *device, Memory *memory) {
    ENTER("memory", 1);
    *memory = (Memory){gpu->memory_total, gpu->memory_total - gpu->memory_used, gpu->memory_used};
    return SUCCESS;
}
API Return nvmlDeviceGetMemoryInfo_v2(Device *device, MemoryV2 *memory) {
    ENTER("memory", 1);
    *memory = (MemoryV2){memory->version, gpu->memory_total, 0, gpu->memory_total - gpu->memory_used, gpu->memory_used};
    return SUCCESS;
}
API Return nvmlDeviceGetTemperature(Device *device, unsigned sensor, unsigned *celsius) {
    ENTER("temperature", 0);
    *celsius = gpu->temperature_c;
    return sensor == 0 ? SUCCESS : INVALID_ARGUMENT;
}
API Return nvmlDeviceGetTemperatureV(Device *device, Temperature *temperature) {
    ENTER("temperature", 0);
    temperature->temperature = gpu->temperature_c;
    return temperature->sensor == 0 ? SUCCESS : INVALID_ARGUMENT;
}
static Return give_clock(Device *device, unsigned type, unsigned *mhz) {
    ENTER("clock", 0);
    if (type > 3) return INVALID_ARGUMENT;
    *mhz = type == 2 ? gpu->memory_clock_mhz : gpu->sm_clock_mhz; /* 0 graphics, 1 SM, 2 memory, 3 video */
    return SUCCESS;
}
API Return nvmlDeviceGetClockInfo(Device *device, unsigned type, unsigned *mhz) { return give_clock(device, type, mhz); }
API Return nvmlDeviceGetMaxClockInfo(Device *device, unsigned type, unsigned *mhz) { return give_clock(device, type, mhz); }

API Return nvmlDeviceGetArchitecture(Device *device, unsigned *architecture) {
    ENTER("architecture", 1);
    *architecture = gpu->architecture;
    return SUCCESS;
}
API Return nvmlDeviceGetPersistenceMode(Device *device, unsigned *mode) { ENTER("persistence", 0); *mode = 1; return SUCCESS; }
API Return nvmlDeviceGetComputeMode(Device *device, unsigned *mode) { ENTER("compute_mode", 0); *mode = 0; return SUCCESS; }
/* Nobody may change the settings of a simulated GPU: tools that try must cope, as without root rights. */
API Return nvmlDeviceSetPersistenceMode(Device *device, unsigned mode) { (void)mode; ENTER("persistence", 0); return NO_PERMISSION; }
API Return nvmlDeviceSetPowerManagementLimit(Device *device, unsigned mw) { (void)mw; ENTER("power_limit", 0); return NO_PERMISSION; }
/* Only Grace Hopper has a chip-to-chip link; Zeus asks for it to choose between GPU and module power. */
API Return nvmlDeviceGetC2cModeInfoV(Device *device, void *info) { (void)info; ENTER("c2c", 0); return NOT_SUPPORTED; }

/* ---- processes: callers ask with room for none first, then with room for all ---- */

static Return give_processes(Device *device, int graphics, unsigned *room, ProcessInfo *to) {
    ENTER("processes", 1);
    const Process *list = graphics ? gpu->graphics_process : gpu->process;
    unsigned known = graphics ? gpu->graphics_processes : gpu->processes, available = to ? *room : 0;
    *room = known;
    if (known > available) return INSUFFICIENT_SIZE;
    unsigned none = 0xffffffff; /* the driver's "not in a MIG instance" */
    for (unsigned i = 0; i < known; i++) to[i] = (ProcessInfo){list[i].pid, list[i].used_bytes, none, none};
    return SUCCESS;
}
API Return nvmlDeviceGetComputeRunningProcesses_v2(Device *device, unsigned *room, ProcessInfo *to) {
    return give_processes(device, 0, room, to);
}
API Return nvmlDeviceGetComputeRunningProcesses_v3(Device *device, unsigned *room, ProcessInfo *to) {
    return give_processes(device, 0, room, to);
}
API Return nvmlDeviceGetGraphicsRunningProcesses_v2(Device *device, unsigned *room, ProcessInfo *to) {
    return give_processes(device, 1, room, to);
}
API Return nvmlDeviceGetGraphicsRunningProcesses_v3(Device *device, unsigned *room, ProcessInfo *to) {
    return give_processes(device, 1, room, to);
}
API Return nvmlDeviceGetProcessUtilization(Device *device, ProcessSample *to, unsigned *room, unsigned long long since_us) {
    (void)since_us;
    ENTER("process_utilisation", 0);
    unsigned known = gpu->processes, available = to ? *room : 0;
    if (!known) return NOT_FOUND;
    *room = known;
    if (known > available) return INSUFFICIENT_SIZE;
    for (unsigned i = 0; i < known; i++)
        to[i] = (ProcessSample){.pid = gpu->process[i].pid, .time_us = (unsigned long long)(model_now() * 1e6),
                                .sm = gpu->process[i].sm_percent};
    return SUCCESS;
}

/* ---- MIG ---- */

API Return nvmlDeviceGetMigMode(Device *device, unsigned *current, unsigned *pending) {
    ENTER("mig", 0);
    if (!gpu->mig_capable) return NOT_SUPPORTED;
    *current = *pending = gpu->mig_count > 0;
    return SUCCESS;
}
API Return nvmlDeviceGetMaxMigDeviceCount(Device *device, unsigned *count) {
    ENTER("mig", 0);
    *count = gpu->mig_capable ? 7 : 0;
    return SUCCESS;
}
API Return nvmlDeviceGetMigDeviceHandleByIndex(Device *device, unsigned index, Device **slice) {
    ENTER("mig", 0);
    if (index >= (unsigned)gpu->mig_count) return NOT_FOUND;
    *slice = &device->gpu->mig[index];
    return SUCCESS;
}
API Return nvmlDeviceGetDeviceHandleFromMigDeviceHandle(Device *device, Device **parent) {
    ENTER("mig", 1);
    if (!device->is_mig) return INVALID_ARGUMENT;
    *parent = &device->gpu->self;
    return SUCCESS;
}
API Return nvmlDeviceIsMigDeviceHandle(Device *device, unsigned *is_mig) {
    ENTER("mig", 1);
    *is_mig = device->is_mig;
    return SUCCESS;
}
