package io.github.ddpm4j;

import static com.tngtech.archunit.base.DescribedPredicate.describe;
import static com.tngtech.archunit.base.DescribedPredicate.not;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.belongToAnyOf;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAPackage;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAnyPackage;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.fields;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;
import static org.assertj.core.api.Assertions.assertThat;

import ai.djl.engine.Engine;
import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.domain.JavaModifier;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import com.tngtech.archunit.library.GeneralCodingRules;
import io.github.ddpm4j.evaluation.BitsPerDim;
import io.github.ddpm4j.sampling.Sampling;
import io.github.ddpm4j.training.Training;
import io.github.ddpm4j.training.TrainingListener;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.slf4j.Logger;

/** The directions of docs/ARCHITECTURE.md. */
class ArchitectureTest {

  private static final String ROOT = "io.github.ddpm4j";

  private static final JavaClasses CLASSES =
      new ClassFileImporter()
          .withImportOption(new ImportOption.DoNotIncludeTests())
          .importPackages(ROOT);

  /** What each package may import of the others; the front door may import all of them. */
  private static final Map<String, List<String>> MAY_USE =
      Map.ofEntries(
          Map.entry("internal.description", List.of()),
          Map.entry("schedule", List.of("internal.description")),
          Map.entry("noise", List.of()),
          Map.entry("torch", List.of()),
          Map.entry("files", List.of()),
          Map.entry("image", List.of("files")),
          Map.entry("ops", List.of("noise", "torch")),
          Map.entry("process", List.of("schedule", "ops")),
          Map.entry("prediction", List.of("schedule", "ops", "internal.description")),
          Map.entry("model", List.of("schedule", "prediction", "ops")),
          Map.entry("loss", List.of("schedule", "prediction", "model", "ops")),
          Map.entry(
              "training",
              List.of("schedule", "prediction", "model", "loss", "noise", "ops", "torch")),
          Map.entry(
              "sampling",
              List.of(
                  "schedule",
                  "prediction",
                  "model",
                  "noise",
                  "ops",
                  "image",
                  "torch",
                  "io",
                  "internal.description")),
          Map.entry(
              "evaluation",
              List.of(
                  "schedule",
                  "prediction",
                  "model",
                  "loss",
                  "sampling",
                  "training",
                  "noise",
                  "ops",
                  "torch",
                  "io")),
          Map.entry(
              "io",
              List.of(
                  "schedule", "prediction", "model", "torch", "files", "internal.description")));

  /** A rule over no classes passes: these must be there. */
  @Test
  void imported_areTheClassesOfTheLibrary() {
    assertThat(CLASSES.contain(DDPM.class)).isTrue();
    assertThat(CLASSES.contain(ArchitectureTest.class)).isFalse();
    assertThat(CLASSES).hasSizeGreaterThan(60);
    for (String name : MAY_USE.keySet()) {
      assertThat(CLASSES.stream().filter(resideInAPackage(ROOT + "." + name)))
          .as("classes of %s", name)
          .isNotEmpty();
    }
  }

  @Test
  void packages_areAllNamedHere() {
    assertThat(CLASSES.stream().map(JavaClass::getPackageName).collect(Collectors.toSet()))
        .isEqualTo(
            Stream.concat(Stream.of(ROOT), MAY_USE.keySet().stream().map(name -> ROOT + "." + name))
                .collect(Collectors.toSet()));
  }

  @Test
  void packages_haveNoCycles() {
    slices().matching(ROOT + ".(*)..").should().beFreeOfCycles().check(CLASSES);
  }

  static Stream<String> packages() {
    return new TreeSet<>(MAY_USE.keySet()).stream();
  }

  @ParameterizedTest
  @MethodSource("packages")
  void package_importsOnlyWhatItMay(String name) {
    String[] others =
        Stream.concat(
                Stream.of(ROOT),
                MAY_USE.keySet().stream()
                    .filter(other -> !other.equals(name) && !MAY_USE.get(name).contains(other))
                    .map(other -> ROOT + "." + other))
            .toArray(String[]::new);
    noClasses()
        .that()
        .resideInAPackage(ROOT + "." + name)
        .should()
        .dependOnClassesThat(resideInAnyPackage(others))
        .check(CLASSES);
  }

  /** No permission is left over, and the import sees what depends on what. */
  @ParameterizedTest
  @MethodSource("packages")
  void package_importsAllThatItMay(String name) {
    assertThat(
            CLASSES.stream()
                .filter(resideInAPackage(ROOT + "." + name))
                .flatMap(type -> type.getDirectDependenciesFromSelf().stream())
                .map(dependency -> dependency.getTargetClass().getPackageName())
                .filter(target -> target.startsWith(ROOT + "."))
                .map(target -> target.substring(ROOT.length() + 1))
                .filter(target -> !target.equals(name))
                .collect(Collectors.toSet()))
        .containsExactlyInAnyOrderElementsOf(MAY_USE.get(name));
  }

  @Test
  void schedule_isPureJava() {
    String[] pure = {ROOT + ".schedule", ROOT + ".internal.description"};
    noClasses()
        .that()
        .resideInAnyPackage(pure)
        .should()
        .dependOnClassesThat()
        .resideOutsideOfPackages("java..", pure[0], pure[1], "org.jspecify..")
        .check(CLASSES);
  }

  @Test
  void noise_knowsNoTensors() {
    noClasses()
        .that()
        .resideInAPackage(ROOT + ".noise")
        .should()
        .dependOnClassesThat()
        .resideInAPackage("ai.djl..")
        .check(CLASSES);
  }

  @Test
  void pytorch_isUsedInTorchAlone() {
    noClasses()
        .that()
        .resideOutsideOfPackage(ROOT + ".torch")
        .should()
        .dependOnClassesThat()
        .resideInAPackage("ai.djl.pytorch..")
        .check(CLASSES);
  }

  @Test
  void core_doesNotKnowTheNetwork() {
    noClasses()
        .should()
        .dependOnClassesThat()
        .resideInAnyPackage(ROOT + ".unet..", ROOT + ".examples..")
        .check(CLASSES);
  }

  @Test
  void globalRandomSeed_isNeverSet() {
    noClasses().should().callMethod(Engine.class, "setRandomSeed", int.class).check(CLASSES);
    noClasses()
        .should()
        .dependOnClassesThat()
        .areAssignableTo(Random.class)
        .check(
            CLASSES.that(
                not(
                    belongToAnyOf(
                        BitsPerDim.class,
                        Sampling.class,
                        Training.class)))); // SecureRandom, for a seed
  }

  /** The progress bar writes to standard error, which is what it is for. */
  @Test
  void output_goesThroughSlf4j() {
    GeneralCodingRules.NO_CLASSES_SHOULD_ACCESS_STANDARD_STREAMS.check(
        CLASSES.that(
            describe(
                "are not the progress bar",
                type ->
                    !type.getName()
                        .equals(TrainingListener.class.getPackageName() + ".ProgressListener"))));
    noClasses().should().accessField(System.class, "out").check(CLASSES);
    GeneralCodingRules.NO_CLASSES_SHOULD_USE_JAVA_UTIL_LOGGING.check(CLASSES);
    fields()
        .that()
        .haveRawType(Logger.class)
        .should()
        .bePrivate()
        .andShould()
        .beStatic()
        .andShould()
        .beFinal()
        .check(CLASSES);
  }

  /**
   * A public type earns its place; `torch`, `files` and `internal` are exported to the network
   * alone.
   */
  @Test
  void publicTypes_areFew() {
    List<String> names =
        CLASSES.stream()
            .filter(type -> type.getModifiers().contains(JavaModifier.PUBLIC))
            .filter(type -> type.isTopLevelClass())
            .filter(not(resideInAnyPackage(ROOT + ".torch", ROOT + ".files", ROOT + ".internal..")))
            .filter(type -> !type.getSimpleName().equals("package-info"))
            .map(JavaClass::getName)
            .sorted()
            .toList();
    assertThat(names).hasSizeLessThanOrEqualTo(88);
  }
}
