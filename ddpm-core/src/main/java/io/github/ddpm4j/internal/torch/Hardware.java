package io.github.ddpm4j.internal.torch;

import ai.djl.Device;
import ai.djl.util.cuda.CudaUtils;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Set;

/** What processors and GPUs have instructions for. */
public final class Hardware {

  private static final Path CPU_INFO = Path.of("/proc/cpuinfo");

  /** The names of bfloat16 instructions on x86-64 and aarch64 under Linux. */
  private static final Set<String> BFLOAT16 = Set.of("avx512_bf16", "amx_bf16", "bf16");

  /** The compute capability of the first NVIDIA GPUs with bfloat16 (Ampere). */
  private static final int AMPERE = 80;

  private Hardware() {}

  /**
   * Whether a device multiplies bfloat16 in hardware. Systems other than Linux do not tell, and
   * count as without.
   *
   * @param device the device
   * @return true if it does for certain
   */
  public static boolean hasBfloat16(Device device) {
    if (device.isGpu()) {
      return CudaUtils.hasCuda()
          && Integer.parseInt(CudaUtils.getComputeCapability(device.getDeviceId())) >= AMPERE;
    }
    try {
      return Files.isReadable(CPU_INFO) && namesBfloat16(Files.readString(CPU_INFO));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Whether a text in the form of /proc/cpuinfo lists the instructions. */
  static boolean namesBfloat16(String cpuInfo) {
    return cpuInfo
        .lines()
        .filter(line -> line.startsWith("flags") || line.startsWith("Features"))
        .flatMap(line -> Arrays.stream(line.substring(line.indexOf(':') + 1).split("\\s+")))
        .anyMatch(BFLOAT16::contains);
  }
}
