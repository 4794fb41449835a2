package io.github.ddpm4j.internal.torch;

import static org.assertj.core.api.Assertions.assertThat;

import ai.djl.Device;
import ai.djl.ndarray.types.DataType;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class HardwareTest {

  private static final String X86 =
      """
      processor\t: 0
      vendor_id\t: GenuineIntel
      model name\t: Intel(R) Xeon(R) Platinum 8481C CPU @ 2.70GHz
      fpu\t\t: yes
      flags\t\t: fpu vme sse sse2 avx avx2 fma avx512f avx512bw avx512_vnni%1$s md_clear
      bugs\t\t: spectre_v1 spectre_v2

      processor\t: 1
      flags\t\t: fpu vme sse sse2 avx avx2 fma avx512f avx512bw avx512_vnni%1$s md_clear
      """;

  private static final String ARM =
      """
      processor\t: 0
      BogoMIPS\t: 2100.00
      Features\t: fp asimd evtstrm aes pmull sha1 crc32 atomics fphp asimdhp%s
      CPU implementer\t: 0x41
      """;

  @ParameterizedTest
  @ValueSource(strings = {" avx512_bf16", " amx_bf16 amx_tile", " avx512_bf16 amx_bf16"})
  void namesBfloat16_x86With_true(String flags) {
    assertThat(Hardware.namesBfloat16(String.format(Locale.ROOT, X86, flags))).isTrue();
  }

  @ParameterizedTest
  @ValueSource(strings = {"", " avx512_fp16", " avx512_bf161", " amx_int8"})
  void namesBfloat16_x86Without_false(String flags) {
    assertThat(Hardware.namesBfloat16(String.format(Locale.ROOT, X86, flags))).isFalse();
  }

  /** GTX 1050 Ti, P100, V100, T4 and GTX 16, A100, RTX 30, RTX 40, H100. */
  @ParameterizedTest
  @CsvSource({
    "61, FLOAT32",
    "60, FLOAT32",
    "70, FLOAT16",
    "75, FLOAT16",
    "80, BFLOAT16",
    "86, BFLOAT16",
    "89, BFLOAT16",
    "90, BFLOAT16"
  })
  void fastest_gpu_byItsCapability(int capability, DataType expected) {
    assertThat(Hardware.fastest(capability)).isEqualTo(expected);
  }

  @Test
  void hasFloat16_cpu_false() {
    assertThat(Hardware.hasFloat16(Device.cpu())).isFalse();
  }

  @Test
  void namesBfloat16_arm_byItsFeatures() {
    assertThat(Hardware.namesBfloat16(String.format(Locale.ROOT, ARM, " svei8mm bf16 dgh")))
        .isTrue();
    assertThat(Hardware.namesBfloat16(String.format(Locale.ROOT, ARM, " bf16"))).isTrue();
    assertThat(Hardware.namesBfloat16(String.format(Locale.ROOT, ARM, ""))).isFalse();
    assertThat(Hardware.namesBfloat16(String.format(Locale.ROOT, ARM, " svebf16"))).isFalse();
  }

  /** Only the lines of instructions count. */
  @Test
  void namesBfloat16_elsewhere_false() {
    assertThat(Hardware.namesBfloat16("model name\t: a processor with avx512_bf16\n")).isFalse();
    assertThat(Hardware.namesBfloat16("bugs\t\t: bf16\n")).isFalse();
    assertThat(Hardware.namesBfloat16("")).isFalse();
  }

  @Test
  void hasBfloat16_cpu_asTheSystemSays() throws IOException {
    Path cpuInfo = Path.of("/proc/cpuinfo");
    boolean expected =
        Files.exists(cpuInfo) && Files.readString(cpuInfo).matches("(?s).*[ _]bf16[ \n].*");
    assertThat(Hardware.hasBfloat16(Device.cpu())).isEqualTo(expected);
  }
}
