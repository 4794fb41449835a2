package io.github.ddpm4j.internal.torch;

import static org.assertj.core.api.Assertions.assertThat;

import ai.djl.engine.Engine;
import ai.djl.pytorch.jni.JniUtils;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.Test;

class GradModeTest {

  @Test
  void off_thenClosed_modeRestored() {
    Engine.getInstance();
    boolean before = JniUtils.isGradMode();
    try (GradMode on = GradMode.on()) {
      assertThat(on).isNotNull();
      assertThat(JniUtils.isGradMode()).isTrue();
      try (GradMode off = GradMode.off()) {
        assertThat(off).isNotNull();
        assertThat(JniUtils.isGradMode()).isFalse();
      }
      assertThat(JniUtils.isGradMode()).isTrue();
    }
    assertThat(JniUtils.isGradMode()).isEqualTo(before);
  }

  @Test
  void off_otherThread_keepsItsOwnMode() {
    boolean worker =
        CompletableFuture.supplyAsync(
                () -> {
                  try (GradMode on = GradMode.on()) {
                    assertThat(on).isNotNull();
                    try (GradMode off = GradMode.off()) {
                      assertThat(off).isNotNull();
                      return CompletableFuture.supplyAsync(
                              () -> {
                                try (GradMode inner = GradMode.on()) {
                                  assertThat(inner).isNotNull();
                                  return JniUtils.isGradMode();
                                }
                              },
                              task -> new Thread(task).start())
                          .join();
                    }
                  }
                })
            .join();
    assertThat(worker).isTrue();
  }

  @Test
  void close_secondTime_doesNothing() {
    try (GradMode outer = GradMode.off()) {
      GradMode on = GradMode.on();
      on.close();
      try (GradMode again = GradMode.on()) {
        on.close();
        assertThat(again).isNotNull();
        assertThat(JniUtils.isGradMode()).isTrue();
      }
      assertThat(outer).isNotNull();
      assertThat(JniUtils.isGradMode()).isFalse();
    }
  }

  /** Whether this thread records gradients. */
  static boolean isRecording() {
    return JniUtils.isGradMode();
  }
}
