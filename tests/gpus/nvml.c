/* A stand-in for NVIDIA's libnvidia-ml.so.1. Every call reads its result from the text file FAKE_NVML: a line is a key,
   a space and a value. A GPU's keys begin with its index ("0.power 215000"). A value that is missing is not supported.
   "0.error 15" is the status of every call about GPU 0, and "sleep 60" the duration of each of its calls in seconds. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SUCCESS = 0, NOT_SUPPORTED = 3, NOT_FOUND = 6 };
typedef struct { int gpu, instance; } Device;
static Device devices[16][8];

static int text(const char *key, char *value, int size) {
  FILE *file = fopen(getenv("FAKE_NVML"), "r");
  char line[256], *space;
  int found = NOT_SUPPORTED;
  while (file && fgets(line, sizeof line, file)) {
    if (!(space = strchr(line, ' '))) continue;
    *space++ = 0;
    if (strcmp(line, key)) continue;
    space[strcspn(space, "\n")] = 0;
    snprintf(value, size, "%s", space);
    found = SUCCESS;
  }
  if (file) fclose(file);
  return found;
}

static long long number(const char *key, long long otherwise) {
  char value[64];
  return text(key, value, sizeof value) ? otherwise : atoll(value);
}

static int of(Device *device, const char *name, char *value, int size) {
  char key[64];
  sleep(number("sleep", 0));
  snprintf(key, sizeof key, "%d.error", device->gpu);
  int status = number(key, SUCCESS);
  if (status) return status;
  if (device->instance >= 0) snprintf(key, sizeof key, "%d.instance.%d.%s", device->gpu, device->instance, name);
  else snprintf(key, sizeof key, "%d.%s", device->gpu, name);
  return text(key, value, size);
}

static int value_of(Device *device, const char *name, unsigned long long *result) {
  char value[64];
  int status = of(device, name, value, sizeof value);
  if (!status) *result = strtoull(value, 0, 0);
  return status;
}

static int small(Device *device, const char *name, unsigned *result) {
  unsigned long long value;
  int status = value_of(device, name, &value);
  if (!status) *result = (unsigned)value;
  return status;
}

int nvmlInitWithFlags(unsigned flags) { return number("init", SUCCESS); }
int nvmlShutdown(void) { return SUCCESS; }
const char *nvmlErrorString(int status) { return "an error of the stand-in"; }
int nvmlSystemGetDriverVersion(char *version, unsigned size) { return text("driver", version, size); }
int nvmlDeviceGetCount_v2(unsigned *count) { *count = number("count", 0); return SUCCESS; }

int nvmlDeviceGetHandleByIndex_v2(unsigned index, Device **device) {
  *device = &devices[index][7];
  (*device)->gpu = index;
  (*device)->instance = -1;
  return SUCCESS;
}

int nvmlDeviceGetMaxMigDeviceCount(Device *device, unsigned *count) { return small(device, "instances", count); }

int nvmlDeviceGetMigDeviceHandleByIndex(Device *device, unsigned number_of_it, Device **instance) {
  char value[96];
  *instance = &devices[device->gpu][number_of_it];
  (*instance)->gpu = device->gpu;
  (*instance)->instance = number_of_it;
  return of(*instance, "uuid", value, sizeof value) ? NOT_FOUND : SUCCESS;
}

int nvmlDeviceGetName(Device *device, char *name, unsigned size) { return of(device, "name", name, size); }
int nvmlDeviceGetUUID(Device *device, char *uuid, unsigned size) { return of(device, "uuid", uuid, size); }

int nvmlDeviceGetMemoryInfo(Device *device, unsigned long long *memory) { /* total, free, used */
  int status = value_of(device, "memory_total", memory);
  return status ? status : value_of(device, "memory_used", memory + 2);
}

int nvmlDeviceGetUtilizationRates(Device *device, unsigned *rates) { return small(device, "utilization", rates); }
int nvmlDeviceGetPowerUsage(Device *device, unsigned *milliwatts) { return small(device, "power", milliwatts); }
int nvmlDeviceGetTotalEnergyConsumption(Device *device, unsigned long long *millijoules) {
  return value_of(device, "energy", millijoules);
}
int nvmlDeviceGetTemperature(Device *device, int sensor, unsigned *celsius) { return small(device, "temperature", celsius); }
int nvmlDeviceGetClockInfo(Device *device, int clock, unsigned *mhz) { return small(device, "clock", mhz); }
int nvmlDeviceGetCurrentClocksThrottleReasons(Device *device, unsigned long long *reasons) {
  return value_of(device, "reasons", reasons);
}
