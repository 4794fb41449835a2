package io.github.ddpm4j.unet;

import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static org.assertj.core.api.Assertions.assertThat;

import ai.djl.engine.Engine;
import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.domain.JavaModifier;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import com.tngtech.archunit.library.GeneralCodingRules;
import org.junit.jupiter.api.Test;

/** The network stands on the core's model and operations alone. */
class ArchitectureTest {

  private static final String ROOT = "io.github.ddpm4j";

  private static final JavaClasses CLASSES =
      new ClassFileImporter()
          .withImportOption(new ImportOption.DoNotIncludeTests())
          .importPackages(ROOT + ".unet");

  /** A rule over no classes passes: these must be there. */
  @Test
  void imported_areTheClassesOfTheNetwork() {
    assertThat(CLASSES.contain(UNet.class)).isTrue();
    assertThat(CLASSES.contain(ArchitectureTest.class)).isFalse();
    assertThat(CLASSES).hasSizeGreaterThan(15);
  }

  @Test
  void network_doesNotKnowTheFrontDoorTrainingAndSampling() {
    noClasses()
        .should()
        .dependOnClassesThat()
        .resideInAnyPackage(
            ROOT, ROOT + ".training", ROOT + ".sampling", ROOT + ".schedule", ROOT + ".examples..")
        .check(CLASSES);
  }

  @Test
  void network_knowsNoEngine() {
    noClasses().should().dependOnClassesThat().resideInAPackage("ai.djl.pytorch..").check(CLASSES);
    noClasses().should().callMethod(Engine.class, "setRandomSeed", int.class).check(CLASSES);
  }

  @Test
  void output_goesThroughSlf4j() {
    GeneralCodingRules.NO_CLASSES_SHOULD_ACCESS_STANDARD_STREAMS.check(CLASSES);
    GeneralCodingRules.NO_CLASSES_SHOULD_USE_JAVA_UTIL_LOGGING.check(CLASSES);
  }

  /** Blocks are details of the network. */
  @Test
  void publicTypes_areFew() {
    assertThat(
            CLASSES.stream()
                .filter(type -> type.getModifiers().contains(JavaModifier.PUBLIC))
                .filter(type -> type.isTopLevelClass())
                .map(type -> type.getSimpleName()))
        .containsExactlyInAnyOrder("UNet", "UNetBuilder", "UNetConfig", "UNetProvider");
  }
}
