package io.github.ddpm4j;

import static com.tngtech.archunit.base.DescribedPredicate.not;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.belongToAnyOf;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAPackage;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAnyPackage;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.fields;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;
import static org.assertj.core.api.Assertions.assertThat;

import ai.djl.engine.Engine;
import com.tngtech.archunit.core.domain.JavaCall;
import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.domain.JavaCodeUnit;
import com.tngtech.archunit.core.domain.JavaModifier;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.library.GeneralCodingRules;
import io.github.ddpm4j.internal.random.Seeds;
import java.io.IOException;
import java.io.InputStream;
import java.io.ObjectInputStream;
import java.lang.module.ModuleDescriptor;
import java.net.URISyntaxException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Random;
import java.util.Set;
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

  private static final Path COMPILED = compiled();

  private static final JavaClasses CLASSES = new ClassFileImporter().importPath(COMPILED);

  /**
   * What each package may import of the others, as the document's table has it; the front door may
   * import all of them.
   */
  private static final Map<String, Set<String>> MAY_USE =
      PackageTable.read(Path.of("../docs/ARCHITECTURE.md"));

  /** The folder of the library's own classes. */
  private static Path compiled() {
    try {
      return Path.of(DDPM.class.getProtectionDomain().getCodeSource().getLocation().toURI());
    } catch (URISyntaxException e) {
      throw new IllegalStateException(e);
    }
  }

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
  void packages_areAllInTheTable() {
    assertThat(CLASSES.stream().map(JavaClass::getPackageName).collect(Collectors.toSet()))
        .isEqualTo(
            Stream.concat(Stream.of(ROOT), MAY_USE.keySet().stream().map(name -> ROOT + "." + name))
                .collect(Collectors.toSet()));
  }

  @Test
  void packages_haveNoCycles() {
    slices().matching(ROOT + ".(**)").should().beFreeOfCycles().check(CLASSES);
  }

  /** What a file says is a word: no class is looked for by it, and none is made. */
  @Test
  void readersOfFiles_loadNoClasses() {
    noClasses()
        .that()
        .resideInAnyPackage(
            ROOT + ".internal.pickle", ROOT + ".internal.io", ROOT + ".internal.hub")
        .should()
        .callMethod(Class.class, "forName", String.class)
        .orShould()
        .callMethod(ClassLoader.class, "loadClass", String.class)
        .orShould()
        .dependOnClassesThat()
        .resideInAnyPackage("java.lang.reflect", "java.lang.invoke..")
        .orShould()
        .dependOnClassesThat()
        .areAssignableTo(ObjectInputStream.class)
        .check(CLASSES);
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
  void randomNumbers_knowNoTensors() {
    noClasses()
        .that()
        .resideInAPackage(ROOT + ".internal.random")
        .should()
        .dependOnClassesThat()
        .resideInAPackage("ai.djl..")
        .check(CLASSES);
  }

  @Test
  void pytorch_isUsedInTorchAlone() {
    noClasses()
        .that()
        .resideOutsideOfPackage(ROOT + ".internal.torch")
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
        .resideInAnyPackage(
            ROOT + ".unet..", ROOT + ".data..", ROOT + ".report..", ROOT + ".examples..")
        .check(CLASSES);
  }

  @Test
  void globalRandomSeed_isNeverSet() {
    noClasses().should().callMethod(Engine.class, "setRandomSeed", int.class).check(CLASSES);
    noClasses()
        .should()
        .dependOnClassesThat()
        .areAssignableTo(Random.class)
        .check(CLASSES.that(not(belongToAnyOf(Seeds.class)))); // SecureRandom, for a seed
  }

  /**
   * What fails in a static initialiser, because the thread is interrupted or memory is short, fails
   * until the process ends.
   */
  @Test
  void staticInitialisers_touchNeitherEngineNorFiles() {
    Set<String> risky = new TreeSet<>();
    for (JavaClass type : CLASSES) {
      type.getStaticInitializer()
          .ifPresent(
              initialiser ->
                  called(initialiser, new HashSet<>()).stream()
                      .filter(name -> name.matches(RISKY))
                      .forEach(name -> risky.add(type.getName() + " calls " + name)));
    }
    assertThat(risky).isEmpty();
  }

  private static final String RISKY =
      "(ai\\.djl\\.(engine|pytorch)\\..*|ai\\.djl\\.ndarray\\.ND(Manager|Array)\\..*"
          + "|java\\.nio\\.(file\\.Files|channels\\..*)\\..*|java\\.io\\..*Stream.*)";

  /** The methods that code calls, directly and through the library's own. */
  private static Set<String> called(JavaCodeUnit code, Set<JavaCodeUnit> seen) {
    Set<String> names = new TreeSet<>();
    if (seen.add(code)) {
      for (JavaCall<?> access : code.getCallsFromSelf()) {
        names.add(access.getTargetOwner().getName() + "." + access.getTarget().getName());
        access
            .getTarget()
            .resolveMember()
            .filter(member -> CLASSES.contain(member.getOwner().getName()))
            .ifPresent(member -> names.addAll(called((JavaCodeUnit) member, seen)));
      }
    }
    return names;
  }

  @Test
  void output_goesThroughSlf4j() {
    GeneralCodingRules.NO_CLASSES_SHOULD_ACCESS_STANDARD_STREAMS.check(CLASSES);
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
   * A public type earns its place: those that everybody sees are listed in exported-types.txt, one
   * a line, sorted.
   */
  @Test
  void exportedTypes_areThoseOfTheList() throws IOException {
    Set<String> exported;
    try (InputStream module = Files.newInputStream(COMPILED.resolve("module-info.class"))) {
      exported =
          ModuleDescriptor.read(module).exports().stream()
              .filter(export -> !export.isQualified())
              .map(ModuleDescriptor.Exports::source)
              .collect(Collectors.toSet());
    }
    List<String> found =
        CLASSES.stream()
            .filter(type -> exported.contains(type.getPackageName()))
            .filter(type -> type.getModifiers().contains(JavaModifier.PUBLIC))
            .filter(JavaClass::isTopLevelClass)
            .map(JavaClass::getName)
            .sorted()
            .toList();
    List<String> listed;
    try (InputStream list = ArchitectureTest.class.getResourceAsStream("/exported-types.txt")) {
      listed = new String(list.readAllBytes(), StandardCharsets.UTF_8).lines().toList();
    }
    assertThat(listed).isSorted().doesNotHaveDuplicates();
    assertThat(found)
        .withFailMessage(
            () ->
                String.format(
                    Locale.ROOT,
                    "exported, but not in exported-types.txt: %s; in exported-types.txt, but not exported: %s",
                    without(found, listed),
                    without(listed, found)))
        .isEqualTo(listed);
  }

  private static List<String> without(List<String> all, List<String> some) {
    return all.stream().filter(name -> !some.contains(name)).toList();
  }
}
