package io.github.ddpm4j.internal.torch;

import ai.djl.Device;
import ai.djl.ndarray.types.DataType;
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

  /** That of the first ones with tensor cores, for float16 (Volta). */
  private static final int VOLTA = 70;

  private Hardware() {}

  /**
   * Whether a device multiplies bfloat16 in hardware. Systems other than Linux do not tell, and
   * count as without.
   *
   * @param device the device
   * @return true if it does for certain
   */
  public static boolean hasBfloat16(Device device) {
    return fastest(device) == DataType.BFLOAT16;
  }

  /**
   * Whether a device multiplies float16 faster than float32: whether it is a GPU with tensor cores.
   *
   * @param device the device
   * @return true if it does for certain; false for processors, which are slower in it
   */
  public static boolean hasFloat16(Device device) {
    return device.isGpu() && CudaUtils.hasCuda() && capability(device) >= VOLTA;
  }

  /**
   * What a device multiplies fastest.
   *
   * @param device the device
   * @return BFLOAT16, FLOAT16 or FLOAT32
   */
  public static DataType fastest(Device device) {
    if (device.isGpu()) {
      return CudaUtils.hasCuda() ? fastest(capability(device)) : DataType.FLOAT32;
    }
    try {
      boolean names = Files.isReadable(CPU_INFO) && namesBfloat16(Files.readString(CPU_INFO));
      return names ? DataType.BFLOAT16 : DataType.FLOAT32;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static int capability(Device gpu) {
    return Integer.parseInt(CudaUtils.getComputeCapability(gpu.getDeviceId()));
  }

  /**
   * What a GPU multiplies fastest: bfloat16 from Ampere on (8.0), which needs no scale; float16 on
   * Volta and Turing (7.0 to 7.5, the T4 among them); float32 before. Pascal (6.1, the GTX 1050 Ti)
   * holds float16 in half of the memory, but is not faster in it.
   *
   * @param capability CUDA's compute capability times 10
   */
  static DataType fastest(int capability) {
    if (capability >= AMPERE) {
      return DataType.BFLOAT16;
    }
    return capability >= VOLTA ? DataType.FLOAT16 : DataType.FLOAT32;
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
